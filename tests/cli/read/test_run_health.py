"""A run that is watched: its status file, its service manager, and models that hang."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from helpers.waiting import LONG, wait_until
from numpy.typing import NDArray

from edge_lpr.health.status import STATUS_FIELDS

Scene = Callable[..., NDArray[np.uint8]]
TEXT = "皖A13H25"
FAST = ["--det-limit-side-len", "256", "--det_limit_type", "max", "--threads", "1"]
# The command, and in it a network whose seventh run answers never, or once that was reported; then the tenth
# begins once that it has answered was.
HANGING = """\
import sys, threading
from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend
from edge_lpr.cli import main
from edge_lpr.health.watchdog import Watchdog
answers = sys.argv[1] == "late"
runs, whole, check = [], OnnxRuntimeBackend.run, Watchdog.check
go_on, told = threading.Event(), threading.Event()
def run(self, inputs):
    runs.append(1)
    if len(runs) == 7:
        go_on.wait()
    if len(runs) == 10:  # of another frame
        told.wait()
    return whole(self, inputs)
def checked(self, elapsed):
    stuck = check(self, elapsed)
    if go_on.is_set() and self.is_well:
        told.set()
    if answers and len(runs) == 7 and not self.is_well:
        go_on.set()
    return stuck
OnnxRuntimeBackend.run, Watchdog.check = run, checked
raise SystemExit(main(sys.argv[2:]))
"""


def street(path: Path, scene: Scene, frames: int = 100) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (320, 240))
    for i in range(frames):
        writer.write(scene(TEXT, 40 + 4 * (i % 20)))
    writer.release()
    return path


def hanging(answers: Literal["never", "late"], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HANGING, answers, *map(str, arguments), *FAST, "--gate", "off"]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=LONG, check=False)


@contextmanager
def started(
    command: list[str], environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    null = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=null, stderr=null, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def status(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_models_that_hang_are_reported_and_the_run_ends_with_its_results(
    tmp_path: Path, plate_scene: Scene
) -> None:
    video, out = street(tmp_path / "街.avi", plate_scene), tmp_path / "o.jsonl"
    done = hanging("never", video, "--watchdog", 2, "--jsonl", out, "--status", tmp_path / "status.json")
    assert done.returncode == 1
    late, given_up = done.stderr.splitlines()[-2:]  # on a busy machine another run may have been late
    assert late.startswith("edge-lpr: the models have not answered for ")
    assert late.endswith("where they do not within 6 s this run ends with exit code 1")
    assert given_up == "edge-lpr: the models do not answer, the run ends; what was read before is complete"
    (line,) = out.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["text"] == TEXT  # the car that was in view
    assert (status(tmp_path / "status.json")["state"], status(tmp_path / "status.json")["exit_code"]) == (
        "ended",
        1,
    )
    assert not list(tmp_path.glob(".*part*"))


def test_models_that_answer_after_all_are_reported_and_nothing_ends(
    tmp_path: Path, plate_scene: Scene
) -> None:
    video = street(tmp_path / "a.avi", plate_scene, 12)
    done = hanging("late", video, "--watchdog", 2)
    assert done.returncode == 0
    late, answered = done.stderr.splitlines()[-2:]
    assert "have not answered for" in late and answered.startswith("edge-lpr: the models answered after ")


def test_the_status_of_a_camera_that_is_there_and_of_one_that_is_not(
    camera: Any, plate_scene: Scene, tmp_path: Path
) -> None:
    camera.image = plate_scene(TEXT)
    path = tmp_path / "status.json"
    command = [sys.executable, "-m", "edge_lpr", camera.address, "rtsp://u:secret@127.0.0.1:1/x", *FAST]
    with started([*command, "--status", str(path)]) as process:
        found: dict[str, Any] = {}

        def all_is_known() -> bool:
            found.update(status(path) if path.exists() else {})  # whole at every moment
            states = [source["state"] for source in found.get("sources", ())]
            return bool(found.get("results")) and states == ["open", "trying again"]

        wait_until(all_is_known)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == 143
    assert list(found) == [name for name, _, _ in STATUS_FIELDS]
    assert found["state"] == "running" and found["pid"] == process.pid and found["frames"] > 0
    there, gone = found["sources"]
    assert there["source"] == camera.address and there["frames"] > 0 and there["last_frame"].endswith("Z")
    assert gone["frames"] == 0 and gone["last_frame"] is None and "secret" not in json.dumps(found)
    last = status(path)
    assert (last["state"], last["exit_code"]) == ("ended", 143) and last["uptime"] > 0


@pytest.mark.parametrize("live", [True, False], ids=["camera", "file"])
def test_a_run_whose_status_alone_is_wanted_reads_all_the_same(
    live: bool, camera: Any, plate_scene: Scene, tmp_path: Path
) -> None:
    camera.image = plate_scene(TEXT)
    source = camera.address if live else str(street(tmp_path / "a.avi", plate_scene, 12))
    path = tmp_path / "status.json"
    command = [sys.executable, "-m", "edge_lpr", source, *FAST, "--quiet", "--status", str(path)]
    with started(command) as process:
        if live:
            wait_until(lambda: path.exists() and status(path)["frames"] > 3 and status(path)["results"])
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == (143 if live else 0)
    last = status(path)
    assert last["state"] == "ended" and last["results"] and last["frames"] >= (4 if live else 12)


@pytest.mark.parametrize(
    ("given", "said"), [("no/x", "there is no folder"), (".", "expected a file"), ("-", "--status -")]
)
def test_a_status_that_cannot_be_written_is_told_before_anything_is_read(
    given: str, said: str, tmp_path: Path, plate_scene: Scene
) -> None:
    video = street(tmp_path / "a.avi", plate_scene, 3)
    command = [sys.executable, "-m", "edge_lpr", str(video), *FAST, "--status", given]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=LONG, check=False, cwd=tmp_path
    )
    assert done.returncode in (1, 2) and done.stdout == ""
    assert said in done.stderr and done.stderr.count("\n") == 1


def test_a_service_manager_hears_that_the_run_is_ready_well_and_over(
    camera: Any, plate_scene: Scene, tmp_path: Path
) -> None:
    camera.image = plate_scene(TEXT)
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(LONG)
        environment = {**os.environ, "NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "600000"}
        command = [sys.executable, "-m", "edge_lpr", camera.address, *FAST]
        with started(command, environment) as process:
            assert manager.recv(4096).decode().startswith("READY=1\nSTATUS=")
            heard = [manager.recv(4096).decode() for _ in range(12)]
            assert heard.count("WATCHDOG=1") >= 6 and any(h.startswith("STATUS=") for h in heard)
            process.send_signal(signal.SIGTERM)
            while manager.recv(4096) != b"STOPPING=1":
                pass
            assert process.wait(LONG) == 143
