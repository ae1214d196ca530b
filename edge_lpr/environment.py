"""This machine and its software: versions, cores, memory, and where the kit keeps files of its own."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edge_lpr._version import __version__

__all__ = ["cache_folder", "cores", "machine", "memory", "peak_memory", "tool", "versions"]

_CPU_INFO = Path("/proc/cpuinfo")
_STATUS = Path("/proc/self/status")
_READING = (
    *("edge-lpr", "numpy", "onnxruntime", "onnxruntime-gpu"),
    *("opencv-python-headless", "opencv-python"),
)
"""Distributions that decide what is read and how fast."""


def tool() -> str:
    """Returns this kit's name and version, as files that it makes bear it: "edge-lpr 0.1.0"."""
    return f"edge-lpr {__version__}"


def versions(*packages: str) -> dict[str, str]:
    """Returns the versions of those of some distributions that are installed, by name."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine(*packages: str) -> dict[str, Any]:
    """Describes the machine: what figures have to stand with.

    Args:
        packages: Distributions to name beside those that read plates.

    Returns:
        `cpu`, `cores`, `system`, `python`, and `versions` of what is installed.
    """
    return {
        "cpu": _cpu(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions(*_READING, *packages),
    }


def cores() -> int:
    """Returns the number of CPU cores that this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_memory(*, children: bool = False) -> int | None:
    """Returns the peak resident memory, in bytes; None on Windows, which has no `resource`.

    Args:
        children: Whether a process that was started and has ended counts too, where its peak was higher.
    """
    try:
        import resource
    except ImportError:
        return None
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if _STATUS.is_file():
        # On Linux getrusage of a new process starts with what its parent had in memory.
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
        peak = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), peak)
    if children:
        peak = max(peak, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit)
    return peak


def memory(process: int | str = "self") -> int | None:
    """Returns the resident memory of a process, in bytes; None where there is no /proc, or no such process.

    Args:
        process: Its number; this process by default.
    """
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS")), None)


def cache_folder(name: str) -> Path:
    """Returns the folder, in the user's cache, of what can be made again: engines, measured figures.

    Args:
        name: The folder's name.
    """
    from platformdirs import user_cache_path

    try:
        cache = user_cache_path("edge-lpr", appauthor=False)
    except RuntimeError:
        cache = Path()
    # A user without a home, as systemd's DynamicUser is one: below the root, as where HOME is "/", and not
    # in a folder that others may fill.
    return (cache if cache.is_absolute() else Path("/", ".cache", "edge-lpr").absolute()) / name


def _cpu() -> str:
    # platform.processor() says no more than the instruction set on Linux.
    if _CPU_INFO.is_file():
        for line in _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
