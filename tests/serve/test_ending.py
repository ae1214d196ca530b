"""The end of the service: within five seconds, whatever hangs, and nothing of what was read is lost."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from helpers.extras import reason
from helpers.held_database import held
from helpers.mosquitto import broker
from helpers.receiver import Receiver, Request
from helpers.service import SAMPLE, RunningService
from helpers.told import are_whole, told
from helpers.waiting import LONG, wait_until

for package in ("pydantic", "starlette", "uvicorn", "prometheus_client", "httpx", "paho.mqtt", "onnxruntime"):
    pytest.importorskip(package, reason=reason(package, "serve"))
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs the signals of POSIX")

READER = "[reader]\nthreads = 1\nthresholds = { det_limit_side_len = 480 }\n"
FILES = '[outputs.log]\ntype = "files"\nfolder = "told"\n'


def camera(name: str, within: float = 60) -> str:
    return f'[cameras.{name}]\nsource = "{SAMPLE}"\nloop = true\nsame_plate_within = {within}\n'


def ends_as_promised(service: RunningService) -> None:
    """Ends a service; by itself: ended by force, later here than for users, it gives another exit code."""
    assert service.end() == 0, service.told
    assert "Traceback" not in service.told


def decoders(service: RunningService) -> list[int]:
    """The processes that decode its cameras."""
    parent = str(service.process.pid)
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", parent], capture_output=True, check=True)
    children = [int(line) for line in listed.stdout.split()]
    return [one for one in children if b"camera_worker" in Path(f"/proc/{one}/cmdline").read_bytes()]


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for the decoders in Linux's /proc")
def test_whatever_hangs_it_ends_in_time_and_tells_the_rest_at_the_next_start(tmp_path: Path) -> None:
    go_on = threading.Event()

    def hangs(_: Request) -> tuple[int, dict[str, str]]:
        go_on.wait(LONG)
        return 503, {}

    with Receiver(hangs) as receiver, broker(tmp_path) as started:
        outputs = (
            f'[outputs.hook]\ntype = "webhook"\nurl = "{receiver.url}"\ntimeout = 100\n'
            f'[outputs.home]\ntype = "mqtt"\nhost = "127.0.0.1"\nport = {started.port}\n'
            '[outputs.run]\ntype = "command"\ncommand = ["sleep", "100"]\ntimeout = 200\n'
        )
        cameras = camera("a") + camera("b")
        with RunningService(tmp_path, READER + cameras + outputs + FILES) as service:
            wait_until(lambda: {one for _, one, _, _ in service.events()} == {"a", "b"})
            wait_until(lambda: "as edge-lpr-" in started.log)
            moving = http.client.HTTPConnection("127.0.0.1", service.port, timeout=LONG)
            moving.request("GET", "/cameras/a/live.mjpeg")
            moving.getresponse().read(100)
            started.pause()
            os.kill(decoders(service)[0], signal.SIGSTOP)
            try:
                ends_as_promised(service)
            finally:
                go_on.set()
                moving.close()
            assert "is left in the middle of an event, which stays queued" in service.told
            assert {state for _, _, state, _ in service.events()} == {"end"}
    assert are_whole(told(tmp_path))


def test_a_database_that_another_process_holds_stops_no_camera_and_loses_nothing(tmp_path: Path) -> None:
    text = READER + camera("a", 1) + camera("b", 1) + FILES
    database = tmp_path / "edge-lpr-data" / "events.db"
    with RunningService(tmp_path, text) as service:
        wait_until(service.events)
        with held(database):
            wait_until(lambda: service.get("/readyz")[0] == 503)
            assert b"database is locked" in service.get("/readyz")[1]
            frames = service.cameras()["a"]["frames"]
            wait_until(lambda: service.cameras()["a"]["frames"] > frames + 20)
            assert b"\nedge_lpr_events_waiting 0" not in service.get("/metrics")[1]
            assert b"\nedge_lpr_events_lost_total 0.0" in service.get("/metrics")[1]
        wait_until(lambda: service.get("/readyz")[0] == 200)
        with held(database):
            wait_until(lambda: service.get("/readyz")[0] == 503)
            ends_as_promised(service)
            assert "until the next start" in service.told
    assert database.with_name("waiting.jsonl").exists()
    off = camera("a") + "enabled = false\n"
    with RunningService(tmp_path, READER + off + FILES) as service:
        events = service.events()
        assert {state for _, _, state, _ in events} == {"end"}
        wait_until(lambda: {id_ for id_, *_ in events} == set(told(tmp_path)) and are_whole(told(tmp_path)))
    assert not database.with_name("waiting.jsonl").exists()


def test_what_never_ends_is_ended_by_force(tmp_path: Path) -> None:
    code = (
        "import threading; from edge_lpr.serve.ending import LastResort; "
        "from edge_lpr.serve.signals import Signals\n"
        "with Signals() as signals, LastResort(signals):\n"
        "    print('ready', flush=True)\n"
        "    while True: threading.Event().wait(1)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(LONG) == 1
    process.communicate()
