"""Files that are complete, or not there under their name: written aside, then renamed.

Text goes through to the disk line by line; videos are checked when they are closed, since OpenCV's writer
does not say that a disk is full.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.errors import OutputError

_UNSAFE = re.compile(r"[^\w.·-]+")
_LIVE_FILL_SECONDS = 2.0  # a video of a live source repeats its last frame over gaps up to this long
IMAGES_WRITTEN = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
VIDEOS_WRITTEN = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}


class TextFile:
    """A UTF-8 file that is readable at every moment.

    Over files the results are written aside and take their name when the run ends, however it ends: an older
    file is replaced by a complete one, never by half of one. A camera's run has no end and is started again
    after a power cut: its results are appended to the file itself, line by line, and never replace any.

    Args:
        path: The file; a device or pipe is written to as it is.
        append: Whether to append.
        bom: Whether a new file starts with a byte-order mark, which Excel takes UTF-8 by.

    Raises:
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path, append: bool = False, bom: bool = False) -> None:
        self.path = path.resolve()
        self._shown = path
        special = self.path.exists() and not self.path.is_file()
        self._aside = None if append or special else _aside(self.path)
        self._file: BinaryIO | None = None
        try:
            if self.path.is_dir():
                raise IsADirectoryError(21, "it is a folder; expected a file")
            # Unbuffered: a line is in the file, not in this process, when `write` returns.
            self._file = (self._aside or self.path).open("ab" if append else "wb", buffering=0)
            self.empty = special or self._file.tell() == 0
            if bom and self.empty and not special:
                self._file.write(b"\xef\xbb\xbf")
            elif append and not self.empty:
                self._end_last_line()
        except OSError as e:
            raise output_error(path, e) from e

    def write(self, text: str) -> None:
        """Writes a text through to the file.

        Raises:
            OutputError: Disk full, for one. What was written before stays whole.
        """
        if self._file is None:
            raise OutputError(f"{self._shown}: already closed")
        data = text.encode("utf-8", "backslashreplace")
        done = 0
        try:
            while done < len(data):
                done += self._file.write(data[done:])
        except OSError as e:
            if done:
                self._cut(done)
            raise output_error(self._shown, e) from e

    def close(self) -> None:
        """Closes the file and gives it its name.

        Raises:
            OutputError: The rename failed; the message says where the results lie.
        """
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            file.close()
            if self._aside is not None:
                self._aside.replace(self.path)
        except OSError as e:
            where = f"; the results lie in {self._aside}" if self._aside else ""
            raise OutputError(f"{self._shown}: cannot be completed ({e.strerror or e}){where}") from e

    def _cut(self, done: int) -> None:
        """Takes back half a line."""
        if self._file is not None and self._file.seekable():
            self._file.truncate(self._file.tell() - done)

    def _end_last_line(self) -> None:
        """A power cut may have left half a line: the next starts on its own."""
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n" and self._file is not None:
                self._file.write(b"\n")


def write_bytes(path: str | Path, data: bytes | memoryview) -> None:
    """Writes a file whole, or leaves what is there as it is.

    Args:
        path: The file.
        data: What it is to hold.

    Raises:
        OutputError: It cannot be written.
    """
    write_with(path, lambda file: file.write(data))


def write_with(path: str | Path, write: Callable[[IO[bytes]], object]) -> None:
    """Has a function write a file, and gives it its name once all of it is on the disk.

    Args:
        path: The file.
        write: Writes into the open file that it is given.

    Raises:
        OutputError: It cannot be written; what was there before is untouched.
    """
    path = Path(path)
    part = _aside(path)
    try:
        try:
            with part.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as e:
        raise output_error(path, e) from e


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Encodes an image by its suffix and writes it aside, then gives it its name.

    Raises:
        OutputError: It cannot be encoded or written.
    """
    try:
        ok, data = cv2.imencode(path.suffix, image)
    except cv2.error:
        ok = False
    if not ok:
        height, width = image.shape[:2]
        raise OutputError(f"{path}: {width}×{height} pixels cannot be encoded as {path.suffix}")
    aside = _aside(path)
    try:
        aside.write_bytes(data.tobytes())
        aside.replace(path)
    except OSError as e:
        aside.unlink(missing_ok=True)
        raise output_error(path, e) from e


class VideoFile:
    """An annotated video, written aside until it is closed.

    Args:
        path: The file; its suffix names the container: .mp4 and others MPEG-4, .avi Motion JPEG.
        fps: Frames per second.
        live: Whether gaps between frames are filled, so that the video runs as long as the camera did.

    Raises:
        OutputError: No such container.
    """

    def __init__(self, path: Path, fps: float, live: bool) -> None:
        self.path = path
        self._fps = round(min(max(fps, 1.0), 240.0), 3)
        self._live = live
        # The writer takes the container from the suffix.
        self._aside = path.with_name(_aside(path).name + path.suffix)
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._written = 0
        self._last: tuple[float, NDArray[np.uint8]] | None = None
        if path.suffix.lower() not in VIDEOS_WRITTEN:
            raise OutputError(f"{path}: a video is written as {', '.join(VIDEOS_WRITTEN)}")

    def write(self, image: NDArray[np.uint8], seconds: float) -> None:
        """Appends a frame that was taken at so many seconds.

        Raises:
            OutputError: The video cannot be started.
        """
        if self._writer is None:
            self._open(image)
        if (image.shape[1], image.shape[0]) != self._size:  # a camera may change its size in mid-stream
            image = np.asarray(cv2.resize(image, self._size), np.uint8)
        if self._live and self._last is not None:
            gap = min(seconds - self._last[0], _LIVE_FILL_SECONDS)
            for _ in range(max(0, round(gap * self._fps) - 1)):
                self._put(self._last[1])
        self._put(image)
        self._last = (seconds, image)

    def close(self) -> None:
        """Completes the video and checks that it holds what was written.

        Raises:
            OutputError: It does not, as when the disk was full; OpenCV's writer says nothing of that.
        """
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        check = cv2.VideoCapture(str(self._aside))
        held = int(check.get(cv2.CAP_PROP_FRAME_COUNT)) if check.isOpened() else 0
        check.release()
        try:
            self._aside.replace(self.path)
        except OSError as e:
            raise output_error(self.path, e) from e
        if held < self._written - 2:
            raise OutputError(f"{self.path}: holds {held} of {self._written} frames; is the disk full?")

    def _open(self, image: NDArray[np.uint8]) -> None:
        height, width = image.shape[:2]
        self._size = (width, height)
        code = cv2.VideoWriter.fourcc(*VIDEOS_WRITTEN[self.path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(self._aside), code, self._fps, self._size)
        if not self._writer.isOpened():
            self._writer = None
            self._aside.unlink(missing_ok=True)
            raise OutputError(
                f"{self.path}: OpenCV cannot write a video of {width}×{height} pixels there; "
                "check folder and space, or try the suffix .avi"
            )

    def _put(self, image: NDArray[np.uint8]) -> None:
        if self._writer is not None:
            self._writer.write(image)
            self._written += 1


def create_folder(folder: Path) -> None:
    """Makes a folder and sees that it can be written to.

    Raises:
        OutputError: It cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as e:
        raise output_error(folder, e) from e


def safe_name(text: str) -> str:
    """Makes part of a file name out of any text: letters of all scripts, digits, "." and "-" stay."""
    return _UNSAFE.sub("_", text).strip("._")[:80] or "_"


def unique(name: str, taken: set[str]) -> str:
    """Returns the name, or with "-2", "-3" … where it is taken already; and takes it."""
    path = Path(name)
    candidate, n = name, 1
    while candidate.casefold() in taken:
        n += 1
        candidate = str(path.with_name(f"{path.stem}-{n}{path.suffix}"))
    taken.add(candidate.casefold())
    return candidate


def output_error(path: Path, error: OSError) -> OutputError:
    """Says in one line that a file cannot be written, and why."""
    if isinstance(error, FileNotFoundError):
        return OutputError(f"{path}: cannot be written, there is no folder {path.parent}; create it first")
    return OutputError(f"{path}: cannot be written ({error.strerror or error})")


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")
