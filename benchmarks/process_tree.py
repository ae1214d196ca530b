"""Processes and what they started, as Linux has them in /proc: which there are, and what they computed."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cpu_seconds", "family"]

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def family(pid: int) -> list[int]:
    """Returns a process and all that it has started, and so on, as far as they are there; itself first."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        if fields := _fields(path):
            children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, []))
    return found


def cpu_seconds(pid: int) -> float:
    """Returns the CPU's seconds of a process, and of those of its children that have ended; 0 of none."""
    return sum(map(int, _fields(Path(f"/proc/{pid}/stat"))[11:15])) / _TICKS


def _fields(stat: Path) -> list[str]:
    """Returns the fields behind a process' name (proc(5), stat, from the third on); none where it is gone."""
    try:
        # A name may hold anything, brackets too.
        return stat.read_text(encoding="utf-8", errors="replace").rpartition(") ")[2].split()
    except OSError:
        return []
