"""Live sources, with real processes, and real sockets on 127.0.0.1."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from helpers.file_server import file_server
from helpers.videos import write_video
from helpers.waiting import LONG, read_until, take, wait_until

from edge_lpr.errors import SourceError
from edge_lpr.io.camera_process import CameraProcess, Told
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.live_source import LiveSource
from edge_lpr.io.sources import open_source
from edge_lpr.io.targets import Target

QUICK = CaptureOptions(timeout=LONG, max_pause=0.1)


@contextmanager
def silent_server() -> Iterator[int]:
    """A socket that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def live(address: str, options: CaptureOptions = QUICK, problems: list[str] | None = None) -> LiveSource:
    told = [] if problems is None else problems
    source = open_source(address, options, told.append)
    assert isinstance(source, LiveSource)
    return source


@pytest.mark.parametrize("scheme", ["rtsp", "http", "rtmp"])
def test_an_address_that_never_answers_is_given_up(scheme: str) -> None:
    with silent_server() as port:
        address = f"{scheme}://user:secret@127.0.0.1:{port}/1"
        with (
            live(address, CaptureOptions(timeout=0.7, reconnect=0)) as source,
            pytest.raises(SourceError, match=r"no answer within 0.7 s") as caught,
        ):
            list(source)
    assert "secret" not in str(caught.value) and "://***@127.0.0.1" in str(caught.value)
    assert source.state == "source lost"


def test_who_hears_late_of_an_opening_knows_all_the_same_that_nobody_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receive = CameraProcess.receive

    def late(process: CameraProcess, seconds: float) -> Told | None:
        told = receive(process, seconds)
        if told is not None and told[0] == "begun":
            time.sleep(0.5)  # as a busy machine may have it
        return told

    monkeypatch.setattr(CameraProcess, "receive", late)
    with (
        silent_server() as port,
        live(f"rtsp://127.0.0.1:{port}/1", CaptureOptions(timeout=0.7, reconnect=0)) as source,
        pytest.raises(SourceError, match=r"no answer within 0.7 s"),
    ):
        list(source)


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_closing_does_not_wait_for_an_address_that_never_answers(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LONG)
        source = live(f"{scheme}://127.0.0.1:{server.getsockname()[1]}/1", CaptureOptions(timeout=3600))
        connection, _ = server.accept()
        with connection:
            source.close()
            wait_until(lambda: source.ended and not camera_threads())
    assert source.state == "done"


def test_an_address_that_refuses_is_named_at_once_where_nothing_is_tried_again() -> None:
    expected = r"rtsp://\*\*\*@127.0.0.1:1/x: cannot be opened: refused"
    with (
        live("rtsp://u:secret@127.0.0.1:1/x", CaptureOptions(timeout=LONG, reconnect=0)) as source,
        pytest.raises(SourceError, match=expected),
    ):
        list(source)


def test_a_camera_that_is_down_at_the_start_is_tried_until_it_is_there(camera: Any) -> None:
    camera.plugged = False
    problems: list[str] = []
    with live(camera.address, QUICK, problems) as source:
        assert source.state == "opening"
        read_until(source, lambda: problems and source.state == "trying again")
        assert problems[0].startswith(f"{camera.address}: cannot be opened: refused")
        assert problems[0].endswith("; trying to reach it")
        time.sleep(0.5)
        assert source.read() is None and not source.ended and source.state == "trying again"
        camera.plugged = True
        assert take(source) and source.state == "open" and source.losses == 0
        assert problems[1:] == [f"{camera.address}: reached after {problems[1].split()[-2]} s"]


def test_a_source_that_is_never_reached_is_given_up_after_the_time_allowed(camera: Any) -> None:
    camera.plugged = False
    options = CaptureOptions(timeout=2, reconnect=0.6, max_pause=0.1)
    with (
        live(camera.address, options) as source,
        pytest.raises(SourceError, match=r"not reached within 0\.6 s"),
    ):
        list(source)


def test_a_live_source_gives_its_newest_frame(camera: Any) -> None:
    with live(camera.address) as source:
        first = take(source)[0]
        assert source.live and source.total is None and source.started == pytest.approx(time.time(), abs=LONG)
        assert first.wall == pytest.approx(time.time(), abs=LONG) and first.name == camera.address
        passed_over = source._queue.passed_over
        wait_until(lambda: source._queue.passed_over > passed_over + 5)  # nobody reads meanwhile
        second = take(source)[0]
        assert second.index - first.index > 5
        wait_until(lambda: source.dropped >= second.index - first.index - 1)
        now = source.now()
        assert now is not None and second.time is not None and first.time is not None
        assert first.time < second.time <= now
        assert second.wall is not None and second.image.shape == (48, 64, 3)


def test_frames_are_the_reader_s_own(camera: Any) -> None:
    with live(camera.address) as source:
        first = take(source)[0]
        kept = first.image.copy()
        take(source, 10)
        assert (first.image == kept).all() and first.image.flags.writeable


def test_a_lost_source_comes_back(camera: Any) -> None:
    problems: list[str] = []
    with live(camera.address, QUICK, problems) as source:
        before = take(source, 3)
        camera.plugged = False
        read_until(source, lambda: problems and source.losses)
        assert "source lost after" in problems[0] and "trying to reach it again" in problems[0]
        assert source.losses == 1
        camera.plugged = True
        after = take(source, 3)
        assert len(after) == 3 and after[0].index > before[-1].index
        assert after[0].time is not None and before[-1].time is not None and after[0].time > before[-1].time
        assert "back after" in problems[1] and source.state == "open"
    assert camera.connections == 2


def test_what_came_before_a_loss_and_what_came_after_stand_apart(camera: Any) -> None:
    with live(camera.address) as source:
        take(source, 2)
        camera.plugged = False
        wait_until(lambda: source.state == "trying again")  # nobody reads meanwhile
        last = source.received
        camera.plugged = True
        wait_until(lambda: source.state == "open")
        assert source.losses == 0
        while (frame := source.read(1)) is None or frame.index < last:
            assert source.losses == 0 or frame is None
        assert source.losses == 1


def test_a_lost_source_is_given_up_after_the_time_allowed(camera: Any) -> None:
    problems: list[str] = []
    options = CaptureOptions(timeout=LONG, reconnect=1.0, max_pause=0.2)
    with live(camera.address, options, problems) as source:
        take(source)
        camera.plugged = False
        read_until(source, lambda: source.ended)
        assert source.state == "source lost"
    assert "not back within 1 s" in problems[-1]


def test_no_reconnection_where_none_is_wanted(camera: Any) -> None:
    problems: list[str] = []
    with live(camera.address, CaptureOptions(timeout=LONG, reconnect=0), problems) as source:
        take(source)
        camera.plugged = False
        read_until(source, lambda: source.ended)
    assert source.state == "source lost" and len(problems) == 1 and camera.connections == 1


def test_a_camera_that_goes_silent_is_lost_after_the_time_limit(camera: Any) -> None:
    problems: list[str] = []
    with live(camera.address, CaptureOptions(timeout=1, max_pause=0.1), problems) as source:
        take(source, 2)
        camera.silent = True
        # On a busy machine it may have been late before.
        read_until(source, lambda: any("source lost after" in line for line in problems))
        camera.silent = False
        assert take(source)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_decoder_that_crashes_is_a_loss(camera: Any, number: signal.Signals) -> None:
    problems: list[str] = []
    with live(camera.address, QUICK, problems) as source:
        take(source)
        os.kill(process_of(source), number)
        read_until(source, lambda: problems)
        assert f"(its decoder ended: signal {number.name}); trying to reach it again" in problems[0]
        assert take(source)


def test_a_decoder_that_is_stuck_is_reported_and_started_anew(camera: Any) -> None:
    problems: list[str] = []
    with live(camera.address, CaptureOptions(timeout=1, max_pause=0.1), problems) as source:
        take(source)
        stuck = process_of(source)
        os.kill(stuck, signal.SIGSTOP)
        # On a busy machine one before it may have been late.
        told = "(no frame for 1 s); trying to reach it again"
        read_until(source, lambda: process_of(source) != stuck and any(told in line for line in problems))
        assert take(source)
        wait_until(lambda: not _is_running(stuck))


@pytest.mark.parametrize("broken", ["cv2.error('decode')", "MemoryError()", "RuntimeError('any')"])
def test_any_error_while_decoding_is_a_loss(
    camera: Any, broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In the process that decodes, the fifth frame fails as OpenCV and Python do.
    (tmp_path / "breaking.py").write_text(
        "import cv2\n"
        "from edge_lpr.io.video_decoder import VideoDecoder\n"
        "real = VideoDecoder.frames\n"
        "def frames(self, go_on):\n"
        "    for decoded in real(self, go_on):\n"
        f"        if decoded.index == 4: raise {broken}\n"
        "        yield decoded\n"
        "VideoDecoder.frames = frames\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("edge_lpr.io.camera_process._BOOT", BOOT_BREAKING)
    problems: list[str] = []
    with live(camera.address, QUICK, problems) as source:
        read_until(source, lambda: source.losses >= 2)
        assert not source.ended
    assert f"decoding failed ({broken.partition('(')[0].rpartition('.')[2]}" in problems[0]


BOOT_BREAKING = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
import breaking
from edge_lpr.io.camera_worker import main
main(sys.argv[2])
"""


def test_a_frame_for_which_there_is_no_memory_is_a_loss(camera: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def copy(self) -> None:
            raise MemoryError

    problems: list[str] = []
    with live(camera.address, QUICK, problems) as source:
        take(source)
        monkeypatch.setattr("edge_lpr.io.camera_process.CameraProcess.view", lambda *_: Full())
        read_until(source, lambda: problems)
        assert "(out of memory); trying to reach it again" in problems[0]
        monkeypatch.undo()
        assert take(source)


def test_where_there_is_no_thread_for_a_moment_it_is_tried_again(
    camera: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start
    refused: list[str] = []

    def refuse(thread: threading.Thread) -> None:
        # As the system does over a limit of processes, which a service's unit or a container has.
        if thread.name == "edge-lpr camera" and len(refused) < 2:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    problems: list[str] = []
    with live(camera.address, QUICK, problems) as source:
        take(source)
        monkeypatch.setattr(threading.Thread, "start", refuse)
        lost = process_of(source)
        os.kill(lost, signal.SIGKILL)
        read_until(source, lambda: len(refused) == 2 and process_of(source) != lost)
        assert not source.ended and take(source)
    assert not camera_threads()


def test_a_frame_that_cannot_be_seen_is_a_loss(camera: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def view(*_: object) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    problems: list[str] = []
    with live(camera.address, QUICK, problems) as source:
        take(source)
        with monkeypatch.context() as short:
            short.setattr("edge_lpr.io.camera_process.CameraProcess.view", view)
            read_until(source, lambda: problems)
        assert "its frames cannot be taken" in problems[0]
        assert take(source) and not source.ended


def test_nothing_is_left_of_a_source_that_is_closed(camera: Any) -> None:
    wait_until(lambda: not camera_threads())  # of the test before
    before, numbers = Counter(open_files()), list[int]()
    for _ in range(3):
        with live(camera.address) as source:
            take(source, 2)
            numbers.append(process_of(source))
    wait_until(lambda: not camera_threads() and not any(Path(f"/proc/{n}").exists() for n in numbers))
    assert not Counter(open_files()) - before  # what a test before it left may have been closed meanwhile


def test_the_process_ends_with_the_one_that_started_it(camera: Any) -> None:
    code = (
        "import sys, time\nfrom edge_lpr.io.sources import open_source\n"
        f"source = open_source({camera.address!r})\n"
        "while source.read(0.1) is None: pass\n"
        "print(source.decoder, flush=True)\ntime.sleep(3600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        number = int(parent.stdout.readline())
        assert Path(f"/proc/{number}").exists()
        parent.kill()
    wait_until(lambda: not _is_running(number))


def test_no_list_of_processes_shows_an_address(camera: Any) -> None:
    with live(f"{camera.address}?password=secret") as source:
        take(source)
        shown = Path(f"/proc/{process_of(source)}/cmdline").read_bytes()
        environment = Path(f"/proc/{process_of(source)}/environ").read_bytes()
    assert b"secret" not in shown + environment and b"camera_worker" in shown


def test_an_address_of_a_finite_video_is_read_in_full(tmp_path: Path) -> None:
    data = write_video(tmp_path / "a.mkv", 20).read_bytes()
    with file_server(data) as address, live(address, CaptureOptions(timeout=LONG)) as source:
        frames = []
        for frame in source:
            time.sleep(0.02)  # slower than it decodes: nothing is passed over
            frames.append(frame)
    assert not source.live and source.total == 20 and source.now() is None and source.started is None
    assert [f.index for f in frames] == list(range(20)) and source.state == "done"
    assert [f.time for f in frames] == pytest.approx([i / 25 for i in range(20)], abs=0.003)
    assert {f.wall for f in frames} == {None}


def test_a_file_opened_as_live_ends_as_lost(tmp_path: Path) -> None:
    data = write_video(tmp_path / "a.mkv", 30).read_bytes()
    problems: list[str] = []
    with file_server(data) as address:
        target = Target("address", "cam", address=address)
        with LiveSource(
            target, CaptureOptions(reconnect=0, timeout=LONG), True, problems.append, ""
        ) as source:
            frames = list(source)
    assert frames and source.received == 30 and source.state == "source lost"
    assert problems == ["cam: source lost after 30 frames"]


def process_of(source: LiveSource) -> int:
    assert source.decoder is not None
    return source.decoder


def camera_threads() -> list[str]:
    # One that reads what the process says may take a moment longer than the source. Others of the kit's are
    # of tests before, whose readers keep their threads until they are collected.
    names = [t.name for t in threading.enumerate()]
    return [name for name in names if name == "edge-lpr camera" or re.match("edge-lpr .*://", name)]


def open_files() -> list[str]:
    """What this process has open, but for the camera's own connections."""
    names = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the folder itself, which is closed by now
            names.append(str(entry.readlink()))
    return sorted(name for name in names if not name.startswith(("socket:", "/proc/")))


def _is_running(number: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{number}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
