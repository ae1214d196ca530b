"""What the sources of an archive name: its pictures and videos, each with its size and time."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from edge_lpr.addresses import is_address
from edge_lpr.archive.lists import addresses_in
from edge_lpr.archive.storage import check_address, check_source, file_system, head_of, modified_of
from edge_lpr.archive.units import Failure, SourceFile
from edge_lpr.errors import SourceError, StorageError, one_line
from edge_lpr.io.folders import natural
from edge_lpr.io.sniff import IMAGE_SUFFIXES, VIDEO_SUFFIXES, sniff
from edge_lpr.io.sources import find_targets
from edge_lpr.io.targets import Target

__all__ = ["HIDDEN_NAME", "Found", "find"]

_LOCAL = ("file", "local")
HIDDEN_NAME = "://…"
"""What the name of a source ends with that is not to be told."""


@dataclass
class Found:
    """What there is to read.

    Attributes:
        pictures: Pictures, in the order in which they were named.
        videos: Videos, likewise.
        failures: What could not be found or looked at.
        left_out: How many files are neither, by suffix.
    """

    pictures: list[SourceFile] = field(default_factory=list)
    videos: list[SourceFile] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def find(sources: Iterable[str], column: str | None = None, *, lists: bool = True) -> Found:
    """Finds all pictures and videos that sources name; a file that several name is read once.

    Args:
        sources: Files, folders and globs, addresses that fsspec takes, and ``@FILE``, a list of those: text,
            one a line, or a Parquet file.
        column: The column of Parquet files that has them.
        lists: Whether an "@" at the beginning says that; else it is part of a file's name.

    Raises:
        SourceError: A list cannot be read.
    """
    found = Found()
    taken: set[str] = set()
    for source in sources:
        is_list = lists and source.startswith("@")
        listed = addresses_in(Path(source[1:]), column) if is_list else iter([source])
        first = len(found.pictures)
        for name in listed:
            try:
                near = _near(name)
                pairs = _of_address(near, found) if is_address(near) else _of_files(near, found)
                for kind, file in pairs:
                    if (place := _place(file.address)) not in taken:
                        taken.add(place)
                        _add(found, kind, file, first)
            except SourceError as e:
                found.failures.append(Failure(_shown(name), str(e)))
    return found


def _near(name: str) -> str:
    """Returns an address of this machine's files as the path that it is: closed folders are told of there.

    Patterns stay fsspec's, whose "**" goes into no folder twice.
    """
    if not is_address(name) or name.strip().partition("://")[0].lower() not in _LOCAL or glob.has_magic(name):
        return name
    return file_system(check_address(name))[1]


def _add(found: Found, kind: str, file: SourceFile, first: int) -> None:
    if kind == "video":
        found.videos.append(file)
    else:  # its place within the source that named it
        index = len(found.pictures) - first
        found.pictures.append(SourceFile(file.address, file.name, index, file.size, file.modified))


def _shown(name: str) -> str:
    """Returns a source as a failure names it: of what may hold a secret the scheme alone."""
    try:
        check_source(name)
    except SourceError:
        return (name.partition("://")[0] if is_address(name) else "") + HIDDEN_NAME
    return check_address(name) if is_address(name) else name


def _place(address: str) -> str:
    """Returns what tells one file from others, by whichever way to its folder it is named."""
    if is_address(address):
        return address
    folder, name = os.path.split(address)
    return f"{_real(folder)}/{name}"


@lru_cache(maxsize=1024)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def _of_files(name: str, found: Found) -> Iterator[tuple[str, SourceFile]]:
    def problem(line: str) -> None:
        found.failures.append(Failure(line.rpartition(": cannot be read")[0] or line, line))

    targets: list[Target] = find_targets(name, problem, lambda _, left_out: found.left_out.update(left_out))
    for target in targets:
        if target.live or target.address:
            raise SourceError(f"{target.label}: a camera or stream; an archive is of files")
        if target.playlist is not None:
            raise SourceError(f"{target.label}: a playlist, which names other files; give those")
        for path in target.paths:
            try:
                status = path.stat()
            except OSError as e:
                problem(f"{path}: cannot be read ({e.strerror or e})")
                continue
            kind = "video" if target.kind == "video" else "image"
            yield (
                kind,
                SourceFile(str(path.absolute()), _text(str(path)), 0, status.st_size, status.st_mtime),
            )


def _of_address(address: str, found: Found) -> Iterator[tuple[str, SourceFile]]:
    shown = check_address(address)
    fs, path = file_system(shown)
    scheme = shown.partition("://")[0]
    try:
        many, infos = _listed(fs, path)
    except FileNotFoundError as e:
        raise SourceError(f"{shown}: no such file or folder") from e
    except Exception as e:  # of whatever storage there is
        raise StorageError(f"{shown}: cannot be looked at ({one_line(e, 120, named=True)})") from e
    if not infos:
        raise SourceError(f"{shown}: no file there")
    for info in infos:
        name = str(fs.unstrip_protocol(info["name"]))
        name = f"{scheme}://{name.partition('://')[2]}" if "://" in name else name
        suffix = PurePosixPath(name).suffix.lower()
        kind = "image" if suffix in IMAGE_SUFFIXES else "video" if suffix in VIDEO_SUFFIXES else None
        if kind is None and not many:
            content = sniff(head_of(name))
            kind = None if content is None else content.medium
        if kind is None:
            found.left_out[suffix] += 1
            continue
        yield kind, SourceFile(name, _text(name), 0, int(info.get("size") or 0), modified_of(info))


def _listed(fs: Any, path: str) -> tuple[bool, list[dict[str, Any]]]:  # noqa: ANN401 - fsspec has no types
    """Returns whether a path stands for many, and what is known of each of its files, in natural order."""
    if glob.has_magic(path) and not fs.exists(path):  # "cam[1].jpg" may be a name
        entries: dict[str, dict[str, Any]] = fs.glob(path, detail=True)
    elif fs.isdir(path):
        entries = fs.find(path, detail=True)
    else:
        return False, [fs.info(path)]
    files = [
        info for info in entries.values() if info.get("type") == "file" and not _hidden(info["name"], path)
    ]
    return True, sorted(files, key=lambda info: natural(info["name"]))


def _text(name: str) -> str:
    """Returns a name as Unicode, which a file's name need not be."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _hidden(name: str, base: str) -> bool:
    inside = name.removeprefix(base)
    return any(part.startswith(".") for part in inside.split("/"))
