"""What `ps` shows of a process: its arguments, which every user of a machine may read."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

__all__ = ["mask_process_title"]

_PROC = Path("/proc/self")
_ARG_START, _ARG_END = 45, 46  # of the fields of stat behind the name, as proc(5) counts them


def mask_process_title(mask: Callable[[str], str]) -> None:
    """Overwrites this process's arguments where they lie, as sendmail and PostgreSQL do; on Linux alone.

    From the start of the process up to here they could be read.

    Args:
        mask: What makes of an argument what may be shown; the program's own name is left as it is.
    """
    try:
        stat = (_PROC / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        start, end = int(stat[_ARG_START]), int(stat[_ARG_END])
        given = (_PROC / "cmdline").read_bytes()
    except (OSError, ValueError, IndexError):  # no Linux, or no /proc
        return
    if not 0 < start < end or len(given) != end - start:
        return
    arguments = given.split(b"\0")
    for at, argument in enumerate(arguments[1:], 1):
        text = argument.decode("utf-8", "surrogateescape")
        shown = mask(text)
        if shown != text:
            # Each stays where it is: what was longer is cut, what was shorter is filled up.
            size = len(argument)
            arguments[at] = shown.encode("utf-8", "replace")[:size].ljust(size, b"\0")
    changed = b"\0".join(arguments)
    if changed != given and len(changed) == len(given):
        ctypes.memmove(start, changed, len(changed))
