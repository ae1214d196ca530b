"""What all tests share: where the real plates lie, where they do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real plates; skips where there is none, as in a fresh clone."""
    if not (SHARED / "plates.csv").is_file():
        pytest.skip("needs the real plates of ../shared/data, which are not part of the repository")
    return SHARED


@pytest.fixture(scope="session")
def plate_scene() -> Callable[..., NDArray[np.uint8]]:
    """Makes a 320×240 picture with a rendered plate that the default bundle reads: `plate_scene(text, x)`."""
    from edge_lpr.finetune.render_plate import Plate, render_plate

    def scene(text: str = "皖A13H25", x: int = 80, y: int = 90, kind: str = "blue") -> NDArray[np.uint8]:
        plate = render_plate(Plate(text, kind), np.random.default_rng(7), 140)
        plate = np.asarray(cv2.resize(plate, (160, 51), interpolation=cv2.INTER_AREA), np.uint8)
        image = np.full((240, 320, 3), 110, np.uint8)
        shown = plate[:, : max(0, 320 - x)]
        image[y : y + 51, x : x + shown.shape[1]] = shown
        return image

    return scene


class Camera:
    """An HTTP camera that sends Motion JPEG, and can be unplugged and plugged in again.

    Attributes:
        image: What it shows; None for frames that are known by their brightness.
    """

    def __init__(self, fps: float = 50) -> None:
        self.fps = fps
        self.plugged = True
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
def camera() -> Iterator[Camera]:
    served = Camera()
    yield served
    served.close()
