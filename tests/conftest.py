"""What all tests share: where the real plates lie, where they do."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.capabilities import as_a_plain_user
from helpers.extras import told_apart
from numpy.typing import NDArray

from edge_lpr import masking
from edge_lpr.backends.measured import Speed, candidate, remember
from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.environment import cores
from edge_lpr.errors import EdgeLprError
from edge_lpr.io.frames import Frame, Source
from edge_lpr.pipeline.events import PlateEvent
from edge_lpr.plates import PlateRead
from edge_lpr.types import PARTS


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz-seconds",
        type=float,
        default=60.0,
        metavar="S",
        help="how long tests/fuzz goes on (default 60)",
    )


CORNERS = np.array([[10, 20], [110.04, 20], [110, 50], [10, 50]], np.float32)
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says in one line what was skipped; `-rs` lists it."""
    reports = terminalreporter.stats.get("skipped", [])
    if reports:
        told = told_apart(str(report.longrepr) for report in reports)
        terminalreporter.write_line(f"skipped: {told}; -rs lists them")


def pytest_configure(config: pytest.Config) -> None:
    """Prepares what this process and those that tests start share.

    Signals as a terminal's: nohup ignores SIGHUP, a shell's `&` SIGINT, and processes inherit that. A cache
    of the tests' own, in which FP32 was measured to be the fastest: what "auto" takes, and so what is read to
    the last digit, is the same on every machine.
    """
    folder = Path(tempfile.mkdtemp(prefix="edge-lpr-cache-"))
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    # Matplotlib's list of fonts lies there too, and takes seconds to make.
    fonts = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "matplotlib")
    os.environ.setdefault("MPLCONFIGDIR", str(fonts))
    os.environ["XDG_CACHE_HOME"] = str(folder)
    with suppress(EdgeLprError):  # a clone may lack the bundle
        bundle = load_bundle()
        for part in PARTS:
            model = candidate(bundle, part)
            for threads in range(1, cores() + 4) if model else ():
                remember(bundle, part, threads, Speed(model.precision, 1.0, 2.0))
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins as a process does: without the secrets that another one was given."""
    monkeypatch.setattr(masking, "_known", {})
    monkeypatch.setattr(masking, "_longest_first", [])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real plates; skips where there is none, as in a fresh clone."""
    if not (SHARED / "plates.csv").is_file():
        pytest.skip("needs the real plates of ../shared/data, which are not part of the repository")
    return SHARED


@pytest.fixture(scope="session")
def plate_scene() -> Callable[..., NDArray[np.uint8]]:
    """Makes a 320×240 image with a rendered plate that the default bundle reads: `plate_scene(text, x)`."""
    from edge_lpr.finetune.synthesis.render.plate import render_plate
    from edge_lpr.finetune.synthesis.render.text import SyntheticPlate

    def scene(text: str = "皖A13H25", x: int = 80, y: int = 90, kind: str = "blue") -> NDArray[np.uint8]:
        plate = render_plate(SyntheticPlate(text, kind), np.random.default_rng(7), 140)
        plate = np.asarray(cv2.resize(plate, (160, 51), interpolation=cv2.INTER_AREA), np.uint8)
        image = np.full((240, 320, 3), 110, np.uint8)
        shown = plate[:, : max(0, 320 - x)]
        image[y : y + 51, x : x + shown.shape[1]] = shown
        return image

    return scene


class Camera:
    """An HTTP camera that sends Motion JPEG, and can be unplugged and plugged in again.

    Attributes:
        plugged: Whether it is there.
        silent: Whether it keeps its connections and sends nothing.
        image: What it shows; None for frames that are known by their brightness.
    """

    def __init__(self, fps: float = 50) -> None:
        self.fps = fps
        self.plugged = True
        self.silent = False
        self.connections = 0
        self.image: NDArray[np.uint8] | None = None
        self._stop = False
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.1)
        self.address = f"http://127.0.0.1:{self._server.getsockname()[1]}/live"
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def _serve(self) -> None:
        while not self._stop:
            try:
                connection, _ = self._server.accept()
            except TimeoutError:
                continue
            if self.plugged:
                self.connections += 1
                self._threads.append(threading.Thread(target=self._send, args=(connection,)))
                self._threads[-1].start()
            else:
                connection.close()

    def _send(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(4096)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
                )
                value = 0
                while self.plugged and not self._stop:
                    if self.silent:
                        time.sleep(0.02)
                        continue
                    image = np.full((48, 64, 3), value % 256, np.uint8) if self.image is None else self.image
                    data = bytes(cv2.imencode(".jpg", image)[1])
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                    connection.sendall(head.encode() + data + b"\r\n")
                    value += 1
                    time.sleep(1 / self.fps)
            except OSError:
                pass

    def close(self) -> None:
        self._stop = True
        for thread in self._threads:
            thread.join()
        self._server.close()


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[Path]:
    """A folder, and a user for whom the modes of files hold while the test runs."""
    with as_a_plain_user():
        yield tmp_path
        for base, folders, _ in os.walk(tmp_path):
            for folder in folders:
                Path(base, folder).chmod(0o700)  # for pytest to clear it away


@pytest.fixture
def camera() -> Iterator[Camera]:
    served = Camera()
    yield served
    served.close()


@pytest.fixture
def a_read() -> Callable[..., PlateRead]:
    """Makes a read of one plate; fields may be changed."""

    def make(**changes: Any) -> PlateRead:
        values: dict[str, Any] = {
            "text": "皖A13H25",
            "kind": "blue",
            "score": 0.987654,
            "min_score": 0.9,
            "char_scores": (0.9, 1.0),
            "corners": CORNERS,
            "det_score": 0.8,
            "log_probs": np.zeros((7, 3), np.float32),
        }
        return PlateRead(**{**values, **changes})

    return make


@pytest.fixture
def an_event() -> Callable[..., PlateEvent]:
    """Makes a track; fields may be changed."""

    def make(**changes: Any) -> PlateEvent:
        values: dict[str, Any] = {
            "text": "皖A13H25",
            "kind": "blue",
            "score": 0.9,
            "min_score": 0.8,
            "char_scores": (0.8, 1.0),
            "reads": 9,
            "first_seen": 1.23456,
            "last_seen": 2.5,
            "first_frame": 31,
            "last_frame": 62,
            "track": 3,
            "corners": CORNERS,
            "crop": np.full((30, 100, 3), 77, np.uint8),
            "id": "8d7f",
        }
        return PlateEvent(**{**values, **changes})

    return make


@pytest.fixture
def a_source() -> Callable[..., Source]:
    """Makes a source that gives nothing, for what is written about it."""

    def make(label: str = "street.mp4", started: float | None = None, **flags: bool) -> Source:
        source = Source(label, lambda line: None)
        source.started, source.fps = started, 25
        for name, value in flags.items():
            setattr(source, name, value)
        return source

    return make


@pytest.fixture
def a_frame() -> Callable[..., Frame]:
    """Makes a grey frame of 160×120."""

    def make(
        index: int = 5, time: float | None = 0.2, name: str = "street.mp4", wall: float | None = None
    ) -> Frame:
        return Frame(np.full((120, 160, 3), 90, np.uint8), index, time, name, wall)

    return make
