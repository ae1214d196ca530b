"""Clocks, power and its mode, read while the GPU works: what it does at rest says nothing of its speed."""

from __future__ import annotations

import statistics
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["UnderLoad", "power_mode", "summary"]

_NAMES = ("sm_mhz", "memory_mhz", "power_w", "power_limit_w", "temperature_c", "utilization_percent")
_QUERY = (
    "clocks.sm,clocks.mem,power.draw,power.limit,temperature.gpu,utilization.gpu,"
    "clocks_throttle_reasons.active,pstate"
)
# nvidia-smi, "clocks_throttle_reasons.active": bits that say that the clock is held down.
_THROTTLES = {
    0x4: "power limit",
    0x8: "hardware slowdown",
    0x20: "thermal limit (software)",
    0x40: "thermal limit (hardware)",
    0x80: "power brake",
}
_INTERVAL = 0.5  # seconds between two looks
_DEVFREQ = Path("/sys/class/devfreq")
_JETSON_GPUS = ("*gpu*", "*ga10b*", "*gv11b*", "*gp10b*")


class UnderLoad:
    """Looks at the GPU again and again while entered; a context manager.

    Attributes:
        found: What was seen, once left: medians and extremes; empty where there is nothing to ask.
    """

    def __init__(self, device: int | None = None) -> None:
        self.found: dict[str, Any] = {}
        self._device = device
        self._rows: list[dict[str, Any]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="clocks", daemon=True)

    def __enter__(self) -> UnderLoad:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.found = summary(self._rows)

    def _look(self) -> None:
        while not self._stop.wait(_INTERVAL):
            row = _of_nvidia_smi(self._device) or _of_jetson()
            if not row:
                return
            if not self._stop.is_set():  # what was asked under load may be answered after it
                self._rows.append(row)


def summary(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Sums up what was seen: the median of each number, the least clock, and why clocks were held down."""
    rows = list(rows)
    found: dict[str, Any] = {"looks": len(rows)} if rows else {}
    for name in _NAMES:
        values = [row[name] for row in rows if row.get(name) is not None]
        if values:
            found[name] = statistics.median(values)
    clocks = [row["sm_mhz"] for row in rows if row.get("sm_mhz") is not None]
    if clocks:
        found["sm_mhz_least"] = min(clocks)
    held = sorted({reason for row in rows for reason in row.get("held_down_by", ())})
    if rows:
        found["held_down_by"] = held
    return found


def power_mode() -> str:
    """Returns a Jetson's power mode, as nvpmodel has it; empty elsewhere."""
    said = _answer(["nvpmodel", "-q"])
    return " ".join(said.split())[:100]


def _of_nvidia_smi(device: int | None) -> dict[str, Any]:
    chosen = [] if device is None else [f"--id={device}"]
    said = _answer(["nvidia-smi", *chosen, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"])
    return parse_row(said.splitlines()[0]) if said else {}


def parse_row(line: str) -> dict[str, Any]:
    """Reads one line of nvidia-smi; a number that it does not know is None."""
    fields = [field.strip() for field in line.split(",")]
    if len(fields) != len(_NAMES) + 2:
        return {}
    row: dict[str, Any] = {name: _number(field) for name, field in zip(_NAMES, fields, strict=False)}
    try:
        bits = int(fields[-2], 16)
    except ValueError:
        bits = 0
    row["held_down_by"] = [reason for bit, reason in _THROTTLES.items() if bits & bit]
    row["pstate"] = fields[-1]
    return row


def _of_jetson() -> dict[str, Any]:
    for pattern in _JETSON_GPUS:
        for folder in sorted(_DEVFREQ.glob(pattern)):
            try:
                hertz = int((folder / "cur_freq").read_text(encoding="ascii"))
            except (OSError, ValueError):
                continue
            return {"sm_mhz": hertz / 1e6}
    return {}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _answer(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
