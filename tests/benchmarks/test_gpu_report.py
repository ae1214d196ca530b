"""How the parts of the GPU benchmark run, and what is kept of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge_lpr.benchmarks.gpu_report import earlier_parts, joined, run_parts, table
from edge_lpr.errors import BackendError


def test_a_part_that_fails_costs_no_other() -> None:
    kept: list[dict[str, Any]] = []

    def broken() -> dict[str, Any]:
        raise BackendError("the device is gone")

    def crashing() -> dict[str, Any]:
        raise RuntimeError("unexpected")

    steps = {
        "one": lambda: {"fps": 5.0, "spread": [float("nan"), float("inf"), 1.0]},
        "two": broken,
        "three": crashing,
        "four": lambda: {"fp32": {"x": 1}, "int8": {"error": "no engine"}},
        "five": "dry run",
    }
    done = run_parts(
        steps, lambda: 1.0, lambda so_far: kept.append(json.loads(json.dumps(so_far, allow_nan=False)))
    )
    assert [p["state"] for p in done.values()] == ["done", "failed", "failed", "failed", "not run"]
    assert done["one"]["result"]["spread"] == [None, None, 1.0]
    assert done["two"]["reason"] == "the device is gone"
    assert done["three"]["reason"] == "RuntimeError: unexpected"
    assert done["four"]["reason"] == "no result for int8" and done["four"]["result"]["fp32"] == {"x": 1}
    assert [len(k) for k in kept] == [1, 2, 3, 4, 5]
    lines = table({"gpu": "Orin", "driver": ""}, done)
    assert lines[0] == "gpu Orin" and "two: failed, the device is gone" in lines


def test_no_part_begins_when_the_time_is_up() -> None:
    done = run_parts({"one": dict}, lambda: 0.0, lambda so_far: None)
    assert done["one"] == {"state": "not run", "reason": "the time was up"}


def test_a_second_call_goes_on_with_the_report_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    machine = {"gpu": "Orin", "tensorrt": "10.3.0"}
    report = {"machine": machine, "bundle": "b", "flags": {"tf32": False}, "dry_run": False}
    assert earlier_parts(path, report) == {}
    first = {"a": {"state": "done", "result": {"x": 1}}, "b": {"state": "failed"}, "c": {"state": "not run"}}
    path.write_text(json.dumps({**report, "parts": first}), encoding="utf-8")
    earlier = earlier_parts(path, report)
    assert set(earlier) == {"a", "b"}
    now = {"a": {"state": "not run"}, "b": {"state": "done"}, "c": {"state": "not run"}}
    both = joined(earlier, now)
    assert [both[name]["state"] for name in "abc"] == ["done", "done", "not run"]
    for change in ({"bundle": "other"}, {"flags": {}}, {"machine": {"gpu": "Orin", "tensorrt": "10.4.0"}}):
        assert earlier_parts(path, {**report, **change}) == {}
    path.write_text("{", encoding="utf-8")
    assert earlier_parts(path, report) == {}
