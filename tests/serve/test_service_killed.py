"""kill -9 of the whole service in the middle of its events: each one is at the receiver afterwards."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from helpers.extras import reason
from helpers.receiver import Receiver
from helpers.service import SAMPLE, RunningService
from helpers.waiting import wait_until

pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
pytest.importorskip("httpx", reason=reason("httpx", "serve"))
pytest.importorskip("paho.mqtt", reason=reason("paho.mqtt", "serve"))
pytest.importorskip("prometheus_client", reason=reason("prometheus_client", "serve"))
pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))
pytest.importorskip("starlette", reason=reason("starlette", "serve"))
pytest.importorskip("uvicorn", reason=reason("uvicorn", "serve"))

CAMERAS = "".join(
    f'[cameras.{name}]\nsource = "{SAMPLE}"\nloop = true\nsame_plate_within = 1\n' for name in ("a", "b")
)
FILES = '[outputs.files]\ntype = "files"\nfolder = "events"\n'


def test_each_event_is_at_the_receiver_whatever_kills_the_service(tmp_path: Path) -> None:
    with Receiver() as receiver:
        hook = f'[outputs.hook]\ntype = "webhook"\nurl = "{receiver.url}"\nmax_pause = 1\n'
        for kill in (True, True, False):
            before = len(receiver.requests)
            with RunningService(tmp_path, CAMERAS + hook + FILES) as service:
                wait_until(lambda before=before: len(receiver.requests) >= before + 6)  # type: ignore[misc]
                if kill:
                    receiver.stop()  # so that something is surely in the middle
                    wait_until(lambda: waiting(tmp_path) > 0)
                code = service.end(signal.SIGKILL if kill else signal.SIGTERM)
            if kill:
                receiver.start()
            else:
                assert code == 0, service.told
        # It ends within seconds; what it could not deliver by then goes out at the next start.
        if waiting(tmp_path):
            with RunningService(tmp_path, CAMERAS + hook + FILES) as service:
                wait_until(lambda: waiting(tmp_path) == 0)
                service.end(signal.SIGKILL)
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
