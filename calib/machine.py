"""What figures have to stand with: the machine and the versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["machine"]

_CPU_INFO = Path("/proc/cpuinfo")
_PACKAGES = ("edge-lpr", "numpy", "onnxruntime", "onnxruntime-gpu", "opencv-python-headless", "opencv-python")


def machine(*packages: str) -> dict[str, Any]:
    """Describes the machine.

    Args:
        packages: Distributions to name beside those that read plates.

    Returns:
        `cpu`, `cores` that this process may use, `system`, `python`, and `versions` of what is installed.
    """
    versions = {}
    for package in (*_PACKAGES, *packages):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _cpu(),
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
    }


def _cpu() -> str:
    # platform.processor() says no more than the instruction set on Linux.
    if _CPU_INFO.is_file():
        for line in _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
