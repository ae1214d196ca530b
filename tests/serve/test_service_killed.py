"""kill -9 of the whole service in the middle of its events: each one is at the receiver afterwards."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from helpers.extras import reason
from helpers.receiver import Receiver
from helpers.waiting import wait_until

pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
pytest.importorskip("httpx", reason=reason("httpx", "serve"))
pytest.importorskip("paho.mqtt", reason=reason("paho.mqtt", "serve"))
pytest.importorskip("prometheus_client", reason=reason("prometheus_client", "serve"))
pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))
pytest.importorskip("starlette", reason=reason("starlette", "serve"))
pytest.importorskip("uvicorn", reason=reason("uvicorn", "serve"))

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "street.mp4"


def configure(folder: Path, url: str) -> Path:
    path = folder / "cameras.toml"
    cameras = "".join(
        f'[cameras.{name}]\nsource = "{SAMPLE}"\nloop = true\nsame_plate_within = 1\n' for name in ("a", "b")
    )
    outputs = (
        f'[outputs.hook]\ntype = "webhook"\nurl = "{url}"\nmax_pause = 1\n'
        '[outputs.files]\ntype = "files"\nfolder = "events"\n'
    )
    path.write_text(f'{cameras}{outputs}[web]\nlisten = ""\n', encoding="utf-8")
    return path


def start(config: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "edge_lpr", "serve", str(config)], cwd=config.parent)


def test_each_event_is_at_the_receiver_whatever_kills_the_service(tmp_path: Path) -> None:
    with Receiver() as receiver:
        config = configure(tmp_path, receiver.url)
        for kill in (True, True, False):
            before = len(receiver.requests)
            process = start(config)
            try:
                wait_until(lambda before=before: len(receiver.requests) >= before + 6)  # type: ignore[misc]
                if kill:
                    receiver.stop()  # so that something is surely in the middle
                    wait_until(lambda: waiting(tmp_path) > 0)
            finally:
                process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
                code = process.wait(60)
            if kill:
                receiver.start()
            else:
                assert code == 0
        if waiting(
            tmp_path
        ):  # it ends within seconds; what it could not deliver by then goes out at the next start
            process = start(config)
            wait_until(lambda: waiting(tmp_path) == 0)
            process.send_signal(signal.SIGKILL)
            process.wait(60)
        told = [json.loads(request.body) for request in receiver.requests]
    with sqlite3.connect(tmp_path / "edge-lpr-data" / "events.db") as database:
        kept = dict(database.execute("SELECT id, revision FROM events").fetchall())
    assert len(kept) >= 6
    revisions: dict[str, list[int]] = {one: [] for one in kept}
    for one in told:
        revisions[one["id"]].append(one["revision"])
    for passage, last in kept.items():
        # Each once or, where the kill came between, twice; and always the older one first.
        assert list(dict.fromkeys(revisions[passage])) == list(range(1, last + 1)), passage
    states = {(one["id"], one["revision"]): one["state"] for one in told}
    for passage, last in kept.items():
        of_one = [states[passage, revision] for revision in range(1, last + 1)]
        assert of_one[0] == "new"
        assert of_one.count("new") == 1
        assert of_one.count("end") <= 1
    lines = [
        json.loads(line)
        for path in (tmp_path / "events").glob("*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    written = Counter((one["id"], one["revision"]) for one in lines)
    assert written == Counter(states.keys())


def waiting(folder: Path) -> int:
    with sqlite3.connect(folder / "edge-lpr-data" / "events.db") as database:
        found = database.execute("SELECT SUM(waiting) FROM queue_counts").fetchone()[0]
    return int(found or 0)
