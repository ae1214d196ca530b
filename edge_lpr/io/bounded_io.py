"""Files that are read whole, up to a size: what a name leads to may be huge, endless, or still growing."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from edge_lpr.errors import EdgeLprError

__all__ = ["read_bounded"]

_CHUNK = 1 << 20
_EXCESS = "larger than {limit_mib} MiB: not {what}"


def read_bounded(
    path: str | Path,
    limit: int,
    what: str,
    error: type[EdgeLprError],
    *,
    label: str | None = None,
    excess: str = _EXCESS,
    missing: str | None = None,
) -> bytes:
    """Reads a regular file of at most so many bytes.

    No more than `limit` + 1 bytes are read, whatever the file's size is said to be, and a pipe or device is
    refused before anything waits for it.

    Args:
        path: The file.
        limit: Most bytes that it may have.
        what: What it would be, as the end of a sentence: "a dictionary".
        error: What is raised, made of one line.
        label: What messages call it; the path where None.
        excess: What is said of a larger file: a format of `size` and `limit`, in bytes, of `size_mib` and
            `limit_mib`, and of `what`.
        missing: The whole message where there is no such file; None treats it like what cannot be read.

    Returns:
        The file's bytes.

    Raises:
        EdgeLprError: An `error`: the file is larger, cannot be read, or is not a regular file.
    """
    name = str(path) if label is None else label
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            size, data = _read(file, limit)
    except FileNotFoundError as e:
        raise error(missing or _unread(name, e)) from e
    except OSError as e:
        raise error(_unread(name, e)) from e
    if size > limit:
        found = {"size": size, "size_mib": size >> 20, "limit": limit, "limit_mib": limit >> 20, "what": what}
        raise error(f"{name}: {excess.format_map(found)}")
    return data


def _without_waiting(path: str, flags: int) -> int:
    # A named pipe that nobody writes to would hold `open` for good.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _read(file: BinaryIO, limit: int) -> tuple[int, bytes]:
    """Returns the size, in bytes, as far as it is known, and the bytes; none of what is larger."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    if status.st_size > limit:
        return status.st_size, b""
    # The size said is what to ask for, as `read` reserves that much; the rest is what came since, or belongs
    # to a file of /proc, whose size is said to be 0.
    data = file.read(status.st_size + 1)
    while len(data) <= limit and (more := file.read(min(_CHUNK, limit + 1 - len(data)))):
        data += more
    return len(data), data


def _unread(name: str, error: OSError) -> str:
    return f"{name}: cannot be read ({error.strerror or error})"
