"""The report of `benchmarks/gpu.py`: parts run one after the other, and what earlier calls left of them."""

from __future__ import annotations

import json
import math
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edge_lpr.console import tables
from edge_lpr.console.output import say
from edge_lpr.errors import EdgeLprError

Step = Callable[[], dict[str, Any]]


def run_parts(
    steps: Mapping[str, Step | str], left: Callable[[], float], keep: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Runs the parts one after the other; what one did is kept before the next begins.

    Args:
        steps: The parts by name; a text in place of one is the reason why it does not run.
        left: Seconds until no part may begin any more.
        keep: Called after each part with all results so far.

    Returns:
        For each part its state ("done", "failed", "not run"), seconds, and result or reason.
    """
    done: dict[str, Any] = {}
    for name, step in steps.items():
        began = time.perf_counter()
        if isinstance(step, str):
            done[name] = {"state": "not run", "reason": step}
        elif left() <= 0:
            done[name] = {"state": "not run", "reason": "the time was up"}
        else:
            say(f"{name} … ({left():.0f} s left)", stream=sys.stderr)
            try:
                result = finite(step())
                broken = [
                    key for key, value in result.items() if isinstance(value, dict) and "error" in value
                ]
                done[name] = {"state": "failed" if broken else "done", "result": result}
                if broken:
                    done[name]["reason"] = f"no result for {', '.join(broken)}"
            except Exception as e:  # whatever it is, the other parts shall not be lost
                reason = str(e) if isinstance(e, EdgeLprError) else f"{type(e).__name__}: {e}"
                done[name] = {"state": "failed", "reason": reason}
                if not isinstance(e, EdgeLprError):
                    traceback.print_exc()
            done[name]["seconds"] = round(time.perf_counter() - began, 1)
            done[name]["ended"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
        keep(done)
    return done


def table(machine: Mapping[str, Any], done: Mapping[str, Any]) -> list[str]:
    """Lays the report out in lines."""
    facts = {**machine, **machine.get("versions", {})}
    facts.pop("versions", None)
    lines = [", ".join(f"{key} {value}" for key, value in facts.items() if value)]
    for name, part in done.items():
        lines.append(f"{name}: {part['state']}{', ' + part['reason'] if 'reason' in part else ''}")
        rows = []
        for key, value in part.get("result", {}).items():
            if isinstance(value, dict):
                shown = "  ".join(f"{k} {_short(v)}" for k, v in value.items() if v not in ("", None, [], {}))
                rows.append([f"  {key}", shown])
            else:
                rows.append([f"  {key}", _short(value)])
        lines += tables.table(rows, left=(0, 1), head=False).splitlines()
    return lines


def earlier_parts(path: Path, report: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parts that an earlier call left, of the same bundle and settings on the same machine."""
    try:
        found = json.loads(path.read_bytes())
        same = all(found["machine"].get(key) == report["machine"].get(key) for key in ("gpu", "tensorrt"))
        if not same or any(found[key] != report[key] for key in ("bundle", "flags", "dry_run")):
            return {}
        return {name: part for name, part in found["parts"].items() if not _idle(part)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def joined(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Puts what was done now in the place of what was done before; what was not run leaves it."""
    return {**now, **{name: part for name, part in earlier.items() if _idle(now.get(name))}}


def finite(value: Any) -> Any:  # noqa: ANN401 - JSON values
    """Returns a result without the infinities and NaN that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _idle(part: Mapping[str, Any] | None) -> bool:
    return part is None or part["state"] == "not run"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)
    return text if len(text) <= 100 else text[:97] + "..."
