"""The process that decodes a live source, as the one that started it sees it."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.file_server import file_server
from helpers.videos import write_video
from helpers.waiting import LONG, wait_until

from edge_lpr.io import guarded_open
from edge_lpr.io.camera_process import CameraProcess, Told
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.targets import Target

NOBODY = Target("address", "cam", address="rtsp://127.0.0.1:1/x")
OPTIONS = CaptureOptions(stride=2, timeout=LONG)


def told(process: CameraProcess, until: str) -> list[Told]:
    found: list[Told] = []
    end = time.monotonic() + LONG
    while (not found or found[-1][0] != until) and time.monotonic() < end:
        if (more := process.receive(0.5)) is not None:
            found.append(more)
            if more[0] == "frame":
                process.free(more[1]["slot"])
    assert found[-1][0] == until
    return found


def test_all_that_happens_to_a_video_is_told(tmp_path: Path) -> None:
    data = write_video(tmp_path / "a.mkv", 20).read_bytes()
    with file_server(data) as address:
        process = CameraProcess(Target("address", "cam", address=address), OPTIONS, None)
        found = told(process, "ended")
    try:
        assert [what for what, _ in found[:2]] == ["begun", "opened"]
        assert found[1][1] == {"live": False, "fps": 25.0, "total": 10, "pause": 0.0}
        frames: list[dict[str, Any]] = [more for what, more in found if what == "frame"]
        assert [frame["index"] for frame in frames] == list(range(0, 20, 2))
        assert process.view(frames[-1]).shape == (48, 64, 3)
        ended = found[-1][1]
        assert (ended["reason"], ended["received"], ended["promised"], ended["early"]) == ("", 20, 20, False)
    finally:
        process.close()
        process.close()


def test_what_cannot_be_opened_is_refused() -> None:
    process = CameraProcess(NOBODY, OPTIONS, None)
    assert [what for what, _ in told(process, "refused")] == ["begun", "refused"]
    process.close()


def test_a_process_that_is_ended_tells_why_in_its_stead() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # so that it does not end by itself before
        address = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x"
        process = CameraProcess(Target("address", "cam", address=address), OPTIONS, None)
        process.kill("out of memory")
        assert told(process, "ended")[-1] == ("ended", {"reason": "out of memory"})
        process.close()
    assert process.receive(0.01) is None


def test_a_file_of_the_current_folder_is_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cv2", "json", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(9)", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    process = CameraProcess(NOBODY, OPTIONS, None)
    assert told(process, "refused")
    process.close()
    assert not (tmp_path / "__pycache__").exists()


def test_frames_are_held_to_the_limit(tmp_path: Path) -> None:
    data = write_video(tmp_path / "a.mkv", 5).read_bytes()
    with file_server(data) as address:
        target = Target("address", "cam", address=address)
        process = CameraProcess(target, CaptureOptions(timeout=LONG, max_pixels=64 * 48 - 1), True)
        found = told(process, "ended")
    process.close()
    assert "frame" not in dict(found)
    assert found[-1][1]["reason"].startswith("frames of 64×48 pixels, more than the limit")


def test_what_is_being_opened_here_does_not_reach_the_process() -> None:
    if not Path("/proc/self/environ").exists():
        pytest.skip("needs Linux's /proc")
    opening, done = threading.Event(), threading.Event()

    def hold() -> None:
        with guarded_open._ffmpeg_options({"protocol_whitelist": "file"}):
            opening.set()
            done.wait(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    opening.wait()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # one that has ended shows no environment
        address = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x"
        process = CameraProcess(Target("address", "cam", address=address), OPTIONS, None)
        environ = Path(f"/proc/{process.pid}/environ")
        wait_until(environ.read_bytes)  # empty for a moment in a process that only begins
        environment = environ.read_bytes()
        process.close()
    thread.join()
    assert b"PATH=" in environment and b"protocol_whitelist" not in environment
