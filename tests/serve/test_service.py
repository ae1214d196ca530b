"""The service end to end: a video played as two cameras, real processes, and every way that it ends."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.extras import reason
from helpers.service import SAMPLE, RunningService
from helpers.told import are_whole, told
from helpers.waiting import LONG, wait_until

for package in ("pydantic", "starlette", "uvicorn", "prometheus_client"):
    pytest.importorskip(package, reason=reason(package, "serve"))
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs the signals of POSIX")

READER = "[reader]\nthreads = 1\nthresholds = { det_limit_side_len = 480 }\n"
FILES = '[outputs.log]\ntype = "files"\nfolder = "told"\n'
IN, OUT = (
    f'[cameras.{name}]\nsource = "{SAMPLE}"\nloop = true\nsame_plate_within = {within}\n'
    for name, within in (("in", 1), ("out", 60))
)


def test_cameras_give_events_one_that_is_gone_stops_none_and_all_is_told_at_the_end(tmp_path: Path) -> None:
    gone = '[cameras.gone]\nsource = "rtsp://127.0.0.1:1/x"\ntimeout = 2\n'
    off = '[cameras.off]\nsource = "0"\nenabled = false\n'
    with RunningService(tmp_path, READER + gone + off + IN + OUT + FILES) as service:
        # The data is this one's alone, as long as it runs.
        with RunningService(tmp_path, READER + OUT, wait=False) as second:
            assert second.process.wait(LONG) == 2
            assert "another edge-lpr serve has this data folder" in second.told
        wait_until(lambda: {camera for _, camera, _, _ in service.events()} == {"in", "out"})
        wait_until(lambda: service.cameras()["gone"]["state"] == "lost")
        cameras = service.cameras()
        assert cameras["in"]["state"] == cameras["out"]["state"] == "live"
        assert cameras["off"]["state"] == "off" and cameras["in"]["width"] == 960
        assert "refused, wrong path, user or password" in cameras["gone"]["detail"]
        assert service.get("/healthz")[0] == 200 and service.get("/readyz")[0] == 200
        status, figures = service.get("/metrics")
        assert status == 200 and b'edge_lpr_camera_frames_total{camera="in"}' in figures
        began = time.monotonic()
        assert service.end() == 0
        assert time.monotonic() - began < LONG / 2  # no camera that is gone holds it up
        events = service.events()
        assert {state for _, _, state, _ in events} == {"end"}
    records = told(tmp_path)
    assert set(records) == {id_ for id_, *_ in events} and are_whole(records)
    pictures = list((tmp_path / "edge-lpr-data" / "pictures").rglob("*-crop.jpg"))
    assert pictures and "Traceback" not in service.told


@pytest.fixture
def manager() -> Iterator[list[str]]:
    """A service manager, as systemd is one; gives all lines that it was told."""
    lines: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(f"\0edge-lpr-test-{os.getpid()}")

        def listen() -> None:  # such a socket holds ten messages, and drops the rest
            while (told := channel.recv(4096)) != b"over":
                lines.extend(told.decode().splitlines())

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield lines
        channel.sendto(b"over", channel.getsockname())
        thread.join(LONG)


def test_the_configuration_is_read_again_without_losing_what_goes_on(
    tmp_path: Path, manager: list[str]
) -> None:
    told_by = {"NOTIFY_SOCKET": f"@edge-lpr-test-{os.getpid()}", "WATCHDOG_USEC": "1000000"}
    with RunningService(tmp_path, READER + OUT + FILES, environment=told_by) as service:
        wait_until(lambda: {"READY=1", "WATCHDOG=1"} <= set(manager))
        wait_until(service.events)
        before = {id_ for id_, *_ in service.events()}
        frames = service.cameras()["out"]["frames"]
        # A mistake: nothing changes.
        service.write(READER + OUT.replace("loop", "lop") + FILES)
        os.kill(service.process.pid, signal.SIGHUP)
        wait_until(lambda: "was not taken; the service goes on as before" in service.told)
        assert "cameras.out.lop: no such key; did you mean 'loop'?" in service.told
        # Another camera comes, and settings of the first change that need no opening.
        service.write(READER + IN + OUT + "max_fps = 5\n" + FILES)
        os.kill(service.process.pid, signal.SIGHUP)
        wait_until(lambda: "was read again" in service.told)
        wait_until(lambda: service.cameras().get("in", {}).get("state") == "live")
        assert service.cameras()["out"]["frames"] >= frames  # it was not opened anew
        wait_until(lambda: any(camera == "in" for _, camera, _, _ in service.events()))
        # It goes again: what it had begun is told to its end.
        service.write(READER + OUT + FILES)
        os.kill(service.process.pid, signal.SIGHUP)
        wait_until(lambda: set(service.cameras()) == {"out"})
        wait_until(lambda: all(s == "end" for _, camera, s, _ in service.events() if camera == "in"))
        still = {id_: state for id_, camera, state, _ in service.events() if id_ in before}
        assert still and set(still.values()) <= {"new", "update"}, "its passage goes on: sixty seconds"
        assert service.end(signal.SIGINT) == 0
    assert are_whole(told(tmp_path))
    wait_until(lambda: manager[-1] == "STOPPING=1")
    reloads = [n for n, line in enumerate(manager) if line == "RELOADING=1"]
    assert len(reloads) == 3
    assert all(manager[n + 1].startswith("MONOTONIC_USEC=") and "READY=1" in manager[n:] for n in reloads)


def test_what_was_told_before_a_kill_is_told_once_and_to_its_end_afterwards(tmp_path: Path) -> None:
    text = READER + IN + OUT + FILES
    with RunningService(tmp_path, text) as service:
        wait_until(lambda: len(service.events()) > 2 and len(told(tmp_path)) > 2)
        service.end(signal.SIGKILL)
    killed = {id_ for id_, *_ in service.events()}
    with RunningService(tmp_path, text) as service:
        wait_until(lambda: all(state == "end" for id_, _, state, _ in service.events() if id_ in killed))
        assert service.end() == 0
        events = {id_ for id_, *_ in service.events()}
    records = told(tmp_path)
    assert killed <= set(records) == events and are_whole(records)


def test_a_damaged_database_is_named_with_what_to_do(tmp_path: Path) -> None:
    from edge_lpr.serve import store
    from edge_lpr.serve.database import Database
    from edge_lpr.serve.delivery import queue

    data = tmp_path / "edge-lpr-data"
    data.mkdir()
    base = Database(data / "events.db", (*store.SCHEMA, *queue.SCHEMA))
    rows = base.reader().execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'events'").fetchall()
    (size,) = base.reader().execute("PRAGMA page_size").fetchone()
    base.close()
    with (data / "events.db").open("r+b") as file:
        for (page,) in rows:
            file.seek((page - 1) * size)
            file.write(b"\xa5" * size)
    with RunningService(tmp_path, READER + OUT, wait=False) as service:
        assert service.process.wait(LONG) == 2
    assert "events.db: cannot be opened as a database: " in service.told
    assert "move events.db, events.db-wal and events.db-shm away" in service.told
