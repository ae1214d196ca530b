"""Playlists that lie beside their videos: m3u8 as HLS writes it, and the lists of FFmpeg's concat.

FFmpeg would follow one anywhere. So it is read here: what it names are files of its own folder or below, and
each of them is opened as a video that leads to no other.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from edge_lpr.errors import SourceError
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.walk import unreadable

__all__ = ["JoinedFiles", "Playlist", "is_playlist", "read_playlist"]

_MAX_BYTES = 4 << 20
_MAX_FILES = 100_000  # a week of segments of six seconds
_START = re.compile(rb"\s*(?:#EXTM3U|ffconcat|(?:#[^\n]*\n\s*)*file\s+\S)")
_MAP = re.compile(r'#EXT-X-MAP:.*URI="([^"]*)"')
_HLS = "#EXT-X-TARGETDURATION"  # in every list of segments, and in no other m3u8
_UNKNOWN = (
    (re.compile(r"#EXT-X-KEY:(?!METHOD=NONE)"), "its videos are encrypted"),
    (re.compile(r"#EXT-X-(?:BYTERANGE|MAP:.*BYTERANGE)"), "it names parts of files"),
    (re.compile(r"#EXT-X-STREAM-INF"), "it names other playlists; give one of those"),
)
_WITHOUT_MEANING = frozenset({"ffconcat", "duration"})
_ADDRESS = re.compile(r"[A-Za-z][\w+.-]+:")


@dataclass(frozen=True)
class Playlist:
    """What a playlist names.

    Attributes:
        files: The files, in order, links followed.
        names: What it calls each of them.
        joined: Whether their bytes on end are one video; else each file is one.
    """

    files: tuple[Path, ...]
    names: tuple[str, ...]
    joined: bool


class JoinedFiles:
    """Files whose bytes on end are one video.

    Args:
        files: The files.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._left = list(files)
        self._file: BinaryIO | None = None

    def read(self, size: int, /) -> bytes:
        """Returns at most so many bytes, and none at the end."""
        while self._file is not None or self._left:
            if self._file is None:
                self._file = self._left.pop(0).open("rb")
            if data := self._file.read(size):
                return data
            self.close()
        return b""

    def close(self) -> None:
        """Closes the file that is being read."""
        if self._file is not None:
            self._file.close()
            self._file = None


def is_playlist(head: bytes) -> bool:
    """Tells by a file's first bytes whether it is a playlist that `read_playlist` reads."""
    return _START.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def read_playlist(path: Path) -> Playlist:
    """Reads a playlist.

    Args:
        path: The file.

    Raises:
        SourceError: It names what is not in its folder or below, or holds what is not known here.
    """
    text = read_bounded(path, _MAX_BYTES, "a playlist", SourceError).decode("utf-8-sig", "replace")
    names, joined = _m3u8(text, path) if text.lstrip().startswith("#EXTM3U") else (_concat(text, path), False)
    if not names:
        raise SourceError(f"{path}: a playlist that names no file")
    if len(names) > _MAX_FILES:
        raise SourceError(f"{path}: a playlist of {len(names)} files, more than {_MAX_FILES}")
    folder = path.parent.resolve()
    return Playlist(tuple(_inside(folder, name, path) for name in names), tuple(names), joined)


def _m3u8(text: str, path: Path) -> tuple[list[str], bool]:
    names = []
    for line in map(str.strip, text.splitlines()):
        for unknown, why in _UNKNOWN:
            if unknown.match(line):
                raise SourceError(
                    f"{path}: a playlist that is not read, {why}; ffmpeg -i {path.name} -c copy all.mp4 "
                    "makes a video of it"
                )
        start = _MAP.match(line)
        if start is not None:
            names.append(start[1])
        elif line and not line.startswith("#"):
            names.append(line)
    return names, _HLS in text


def _concat(text: str, path: Path) -> list[str]:
    names = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = [] if line.lstrip().startswith("#") else shlex.split(line)
        except ValueError:
            words = [""]
        if not words or words[0] in _WITHOUT_MEANING:
            continue
        if words[0] != "file" or len(words) != 2:
            raise SourceError(f"{path}, line {number}: expected file NAME, in quotes where it has blanks")
        names.append(words[1])
    return names


def _inside(folder: Path, name: str, path: Path) -> Path:
    """Returns the file that a playlist means, links followed."""
    if _ADDRESS.match(name):
        raise SourceError(f"{path}: a playlist that names an address; give the one that it comes from itself")
    for written in (name, unquote(name)):
        try:
            file = (folder / written).resolve()
            is_file = file.is_file()
        except (OSError, ValueError, RuntimeError) as e:
            raise SourceError(unreadable(path, OSError(str(e)))) from e
        if not file.is_relative_to(folder):
            raise SourceError(
                f"{path}: a playlist that names {written!r}, which is not in its folder or below"
            )
        if is_file:
            return file
    raise SourceError(f"{path}: a playlist that names {name!r}, which is not there")
