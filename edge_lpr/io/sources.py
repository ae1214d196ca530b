"""What a user names as a source, and the frames that come out of it.

A source is an image, a folder, a glob, a video file, a camera index, an address or a GStreamer pipeline.
Folders are read with all their subfolders, hidden files and linked folders left out, in natural order
("frame2" before "frame10").
"""

from __future__ import annotations

import glob
import logging
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2

from edge_lpr.errors import SourceError
from edge_lpr.io.capture import CaptureOptions
from edge_lpr.io.frames import Frame, Source
from edge_lpr.io.image_io import FORMATS, IMAGE_SUFFIXES, image_size, read_image
from edge_lpr.io.live_source import LiveSource
from edge_lpr.io.openers import has_backend
from edge_lpr.io.opening import Opening
from edge_lpr.io.video_source import VideoSource

__all__ = ["CaptureOptions", "Target", "find_targets", "mask_secrets", "open_source"]

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".flv", ".wmv"}
    | {".3gp", ".ogv", ".dav", ".h264", ".264", ".h265", ".265", ".hevc", ".mjpeg", ".mjpg", ".asf", ".vob"}
)
# A protocol that is not named here (concat:, data:, file: …) would let an address reach local files.
SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "srt", "udp", "rtp", "tcp")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
# Everything up to the last @ counts as credentials: cameras' passwords hold "@" and "/" unescaped.
_USER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+://)([^\s:@/\"']*)(:?)\S*@")
_KEY = r"password|passwd|pwd|pass|token|secret|apikey|api_key|key|auth|user-pw|proxy-pw|passphrase"
_QUERY = re.compile(rf"(?i)((?:^|[?&;\s])(?:{_KEY})\s*=\s*)(\"[^\"]*\"|'[^']*'|[^&\s\"';]+)")
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\f\r\x1b")
_logger = logging.getLogger("edge_lpr")

Kind = Literal["images", "video", "camera", "address", "pipeline"]


@dataclass(frozen=True)
class Target:
    """One thing to open, found in what the user typed.

    Attributes:
        kind: "images", "video", "camera", "address" or "pipeline".
        label: What to call it; never holds a password.
        paths: The files of "images" and "video".
        address: What OpenCV opens for the other kinds; may hold a password.
        root: The folder that names of results are relative to, where a folder or glob was given.
    """

    kind: Kind
    label: str
    paths: tuple[Path, ...] = ()
    address: str = field(default="", repr=False)
    root: Path | None = None

    @property
    def live(self) -> bool:
        """Whether it may have no end."""
        return self.kind in ("camera", "address", "pipeline")


def mask_secrets(text: str) -> str:
    """Replaces passwords in addresses, queries and pipelines by ***: "rtsp://user:***@host/1"."""
    return _QUERY.sub(r"\1***", _USER.sub(lambda m: f"{m[1]}{m[2] + ':' if m[3] else ''}***@", text))


def find_targets(source: str | int | Path) -> list[Target]:
    """Finds what a source is, without opening it.

    Args:
        source: An image, folder, glob, video file, camera index, address or GStreamer pipeline.

    Returns:
        What to open, in order; the images of a folder or glob are one target.

    Raises:
        SourceError: There is no such thing, or nothing in it.
    """
    text = str(source)
    if not text.strip() or "\0" in text:
        raise SourceError(f"source {text!r}: expected an image, folder, glob, video, camera index or address")
    path = Path(text)
    if _exists(path):
        return _of_path(path, text)
    if text.isdecimal() and len(text) <= 3:
        return [Target("camera", f"camera {int(text)}", address=text)]
    if " ! " in text:
        return [Target("pipeline", mask_secrets(text), address=text)]
    if scheme := _SCHEME.match(text):
        if scheme[1].lower() not in SCHEMES:
            raise SourceError(
                f"{mask_secrets(text)}: addresses start with {', '.join(s + '://' for s in SCHEMES)}; "
                "a file is given by its path alone"
            )
        return [Target("address", mask_secrets(text), address=text)]
    if glob.has_magic(text):
        found = [Path(p) for p in glob.glob(text, recursive=True)]  # noqa: PTH207 (of any folder)
        base = Path(os.path.commonpath([p.parent for p in found])) if found else None
        targets = _of_files(found, text, base)
        if not targets:
            raise SourceError(f"{text}: the pattern matches no image or video ({len(found)} other files)")
        return targets
    raise SourceError(f"{text}: no such file or folder")


def open_source(
    source: str | int | Path | Target,
    options: CaptureOptions | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> Source:
    """Opens one source. A camera, address or pipeline is there at once, and is reached as soon as it can be.

    Args:
        source: What `find_targets` gave, or what it takes where that is one target.
        options: How videos and live sources are read; images heed the stride.
        on_warning: Called with one line for each image or frame that is left out; None logs it.

    Raises:
        SourceError: It cannot be opened.
    """
    options = options or CaptureOptions()
    on_warning = on_warning or _logger.warning
    if not isinstance(source, Target):
        targets = find_targets(source)
        if len(targets) > 1:
            raise SourceError(f"{source}: {len(targets)} sources; open what find_targets() gives one by one")
        source = targets[0]
    opened = _open(source, options, on_warning)
    opened.root = source.root
    return opened


class ImageSource(Source):
    """Images, one frame each; one that cannot be read is reported and left out.

    Args:
        target: A target of kind "images".
        stride: Every stride-th image is read.
        on_warning: See `Source`.
    """

    is_image = True

    def __init__(self, target: Target, stride: int, on_warning: Callable[[str], None]) -> None:
        super().__init__(target.label, on_warning)
        self._paths = target.paths[::stride]
        self.total = len(self._paths)

    def __iter__(self) -> Iterator[Frame]:
        # The next image is decoded while this one is read: on a GPU decoding is the longer part.
        with ThreadPoolExecutor(1, "edge-lpr images") as decoder:
            coming = decoder.submit(read_image, self._paths[0])
            for index, path in enumerate(self._paths):
                decoded = coming
                if index + 1 < len(self._paths):
                    coming = decoder.submit(read_image, self._paths[index + 1])
                try:
                    image = decoded.result()
                except SourceError as e:
                    self.skipped += 1
                    self.on_warning(str(e))
                    continue
                yield Frame(image, index, None, str(path))
        self.state = "done"


def _open(source: Target, options: CaptureOptions, on_warning: Callable[[str], None]) -> Source:
    label, address = source.label, source.address
    if source.kind == "images":
        return ImageSource(source, options.stride, on_warning)
    if source.kind == "video":
        path = source.paths[0]
        _check_video(path)
        expected = "damaged or cut short, or no video that this OpenCV can decode"
        return VideoSource(Opening("file", label, str(path.resolve())), options, on_warning, expected)
    if source.kind == "camera":
        expected = "no camera there, in use by another program, or no permission (ls /dev/video*)"
        return LiveSource(Opening("camera", label, address), options, True, on_warning, expected)
    if source.kind == "pipeline":
        if not has_backend(cv2.CAP_GSTREAMER):
            raise SourceError(
                f"{label}: a GStreamer pipeline, and this OpenCV {cv2.__version__} has no GStreamer; "
                "edge-lpr doctor says how to get one that has it"
            )
        expected = (
            "see that it runs in gst-launch-1.0 and ends in: videoconvert ! video/x-raw,format=BGR ! appsink"
        )
        return LiveSource(Opening("pipeline", label, address), options, None, on_warning, expected)
    expected = "refused, wrong path, user or password, or no video there"
    return LiveSource(Opening("address", label, address), options, None, on_warning, expected)


def _of_path(path: Path, text: str) -> list[Target]:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        targets = _of_files(list(_walk(path)), text, path)
        if not targets:
            raise SourceError(f"{text}: no image or video in this folder")
        return targets
    if stat.S_ISCHR(mode):
        return [Target("camera", text, address=text)]
    if not stat.S_ISREG(mode):
        raise SourceError(f"{text}: neither a file nor a folder nor a camera")
    kind: Kind = "images" if path.suffix.lower() in IMAGE_SUFFIXES or _is_image(path) else "video"
    return [Target(kind, text, (path,))]


def _of_files(files: Iterable[Path], text: str, root: Path | None) -> list[Target]:
    files = sorted((p for p in files if p.is_file()), key=_natural)
    images = tuple(p for p in files if p.suffix.lower() in IMAGE_SUFFIXES)
    videos = [p for p in files if p.suffix.lower() in VIDEO_SUFFIXES]
    targets = [Target("images", text, images, root=root)] if images else []
    return targets + [Target("video", str(p), (p,), root=root) for p in videos]


def _walk(folder: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(base) / name for name in names if not name.startswith("."))


def _natural(path: Path) -> list[tuple[int, int, str]]:
    # Digits compare as numbers; each part is tagged, so that a number never meets a text.
    parts = re.split(r"([0-9]+)", str(path).casefold())
    return [(0, int(p), "") if p.isdecimal() and p.isascii() else (1, 0, p) for p in parts]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name longer than the file system takes
        return False


def _is_image(path: Path) -> bool:
    return image_size(_head(path)) is not None


def _head(path: Path, size: int = 1 << 16) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as e:
        raise SourceError(f"{path}: cannot be read ({e.strerror or e})") from e


def _check_video(path: Path) -> None:
    """Refuses what FFmpeg would take for something else than a video."""
    head = _head(path, 4096)
    if not head:
        raise SourceError(f"{path}: the file is empty (0 bytes)")
    # FFmpeg "plays" plain text, and a playlist sends it to other files and addresses. No container is without
    # control characters in its first kilobytes.
    if not _CONTROL.intersection(head):
        raise SourceError(f"{path}: a text file; expected a video, or an image ({FORMATS})")
