"""The archive's folder, as others may leave it: damaged, made up, or shared with a second run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.extras import reason

pytest.importorskip("pyarrow", reason=reason("pyarrow", "scale"))
pytest.importorskip("fsspec", reason=reason("fsspec", "scale"))

import pyarrow as pa
import pyarrow.parquet as pq

from edge_lpr.archive.job import Job
from edge_lpr.archive.status import status_of
from edge_lpr.archive.store import Store
from edge_lpr.archive.units import Failure
from edge_lpr.errors import InputError
from edge_lpr.io.out_file import held

from .conftest import begin

UNIT = "0123456789abcdef01234567"


@pytest.mark.parametrize("name", ["a\u2028b.jpg", "a\x85b.jpg", "a\x1eb.jpg", "a\nb.jpg"])
def test_failures_of_any_name_are_listed(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path)
    store.create()
    failures = [Failure(name, f"{name}: damaged", unit=UNIT), Failure("other.jpg", "gone", unit=UNIT)]
    store.failures.note(UNIT, failures)
    assert store.failures.gathered() == failures


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../../x"},
        {"id": "/tmp/x"},
        {"video": "../x"},
        {"day": "../../../x"},
        {"day": "2026-11-27/../.."},
        {"files": []},
        {"files": [{"address": 1, "name": "x", "index": 0, "size": 0, "modified": None}]},
        {"frames": "many"},
        {"video": UNIT},
    ],
)
def test_units_that_are_damaged_or_lead_elsewhere_are_refused(
    tmp_path: Path, pictures: Path, change: dict[str, Any]
) -> None:
    run, (unit, *_), _ = begin(tmp_path / "out", pictures)
    units = [json.dumps({**json.loads(unit.to_json()), **change})]
    pq.write_table(pa.table({"unit": units, "video": [""]}), run.store.units)
    with pytest.raises(InputError, match="the plan is damaged"):
        run.store.read_plan()


@pytest.mark.parametrize(
    "change",
    [
        {"failures": [{"x": 1}]},
        {"failures": [None]},
        {"failures": [{"source": 1, "reason": "x"}]},
        {"models": [1]},
        {"models": {"evil": 1}},
        {"models": {"bundle": 3}},
        {"settings": [1]},
        {"block": "x"},
        {"sources": None},
    ],
)
def test_a_plan_with_values_of_other_types_is_damaged(
    tmp_path: Path, pictures: Path, change: dict[str, Any]
) -> None:
    run, _, _ = begin(tmp_path / "out", pictures)
    plan = json.loads(run.store.plan.read_text("utf-8"))
    run.store.plan.write_text(json.dumps({**plan, **change}), "utf-8")
    with pytest.raises(InputError, match="the plan is damaged"):
        Job.from_dict(run.store.read_plan()[0])


def test_a_plan_that_nests_too_deep_is_damaged(tmp_path: Path, pictures: Path) -> None:
    run, _, _ = begin(tmp_path / "out", pictures)
    run.store.plan.write_text("[" * 100_000, "utf-8")
    with pytest.raises(InputError, match="the plan is damaged"):
        run.store.read_plan()


@pytest.mark.parametrize("data", [b"", b"PAR1 and no more"])
def test_a_damaged_file_of_rows_is_named(tmp_path: Path, pictures: Path, data: bytes) -> None:
    run, (unit, *_), _ = begin(tmp_path / "out", pictures)
    path = tmp_path / "out" / f"day={unit.day}" / f"{unit.id}.parquet"
    path.parent.mkdir()
    path.write_bytes(data)
    for ask in (lambda: status_of(run.store), lambda: run.store.read_rows(unit.day, unit.id)):
        with pytest.raises(InputError, match=rf"{path}: no file of rows, .*; remove it"):
            ask()


def test_of_two_runs_that_come_at_once_one_is_told(tmp_path: Path) -> None:
    with held(tmp_path) as first, held(tmp_path) as second:
        assert (first, second) == (True, False)
    with held(tmp_path) as after:
        assert after


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted as Linux shows them")
def test_reading_leaves_no_threads_for_the_end_of_a_process(tmp_path: Path, pictures: Path) -> None:
    begin(tmp_path / "out", pictures)
    program = f"""
import os
from pathlib import Path
from edge_lpr.archive.store import Store
store = Store(Path({str(tmp_path / "out")!r}))
before = len(os.listdir("/proc/self/task"))
unit, *_ = store.read_plan()[1]
store.segments_of(unit.id)
store.write_rows(unit.day, unit.id, [])
store.read_rows(unit.day, unit.id)
print(before, len(os.listdir("/proc/self/task")))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after = run.stdout.split()
    assert before == after
