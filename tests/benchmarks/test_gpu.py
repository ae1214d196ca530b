"""What of the GPU benchmark runs anywhere: how it counts, how it goes on, and a dry run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_lpr.benchmarks import gpu
from edge_lpr.benchmarks.gpu_measures import (
    Counting,
    Replay,
    against_engines,
    compare_reads,
    growth,
    latency,
    resident_mib,
    within_budget,
)
from edge_lpr.bundle.manifest import bundled
from edge_lpr.errors import BackendError
from edge_lpr.plates import PlateRead

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


def read(text: str, x: float = 0.0) -> PlateRead:
    corners = np.array([[x, 0], [x + 90, 0], [x + 90, 30], [x, 30]], np.float32)
    scores = (0.9,) * len(text)
    return PlateRead(text, "blue", 0.9, 0.9, scores, corners, 0.8, np.zeros((len(text), 3), np.float32))


def test_readings_are_compared_image_by_image() -> None:
    expected = [[read("皖A12345")], [read("皖A12345"), read("京B54321", 200)], []]
    found = [[read("皖A12345", 0.25)], [read("皖A12345")], []]
    result = compare_reads(expected, found)
    assert (result["images"], result["same_texts"], result["plates"]) == (3, 2, 2)
    assert result["largest_corner_distance_px"] == 0.25 and result["identical_boxes"] == 0
    assert result["differing"] == [{"image": 1, "reference": ["皖A12345", "京B54321"], "found": ["皖A12345"]}]


def test_the_share_of_the_engines_alone() -> None:
    # A frame takes 1 ms in the detector (0.5 and 1.5 at two sizes), two crops 0.5 ms in the recognizer.
    dets = [2000.0, 2000 / 3]
    result = against_engines(dets, 4000.0, {"1": 400.0, "2": 620.0}, crops=2.0)
    assert result["engines_alone"] == 666.7
    assert result["share_of_engines_alone"] == 0.93 and result["reached"] is True
    assert against_engines(dets, 4000.0, {"1": 400.0}, crops=2.0)["reached"] is False
    for unknown in (([2000.0, None], 4000.0), (dets, 0.0)):
        assert against_engines(*unknown, {"1": 400.0}, crops=2.0)["share_of_engines_alone"] is None


def test_budgets_are_in_points() -> None:
    assert (
        within_budget({"recall": 95.0, "precision": 99.0}, {"recall": 94.8, "precision": 99.5}, 0.2) is True
    )
    assert (
        within_budget({"recall": 95.0, "precision": 99.0}, {"recall": 94.7, "precision": 99.5}, 0.2) is False
    )
    assert within_budget(None, None, 0.2) is None


@pytest.mark.parametrize(("last", "steady"), [(100.0, True), (116.0, True), (140.0, False)])
def test_memory_that_grows_is_seen(last: float, steady: bool) -> None:
    marks = [{"frames": n, "device_mib": 100.0, "process_mib": p} for n, p in ((1000, 100.0), (10000, last))]
    assert growth(marks)["steady"] is steady
    assert growth(marks[:1])["steady"] is None


def test_the_memory_of_this_process() -> None:
    assert 1 < resident_mib() < 100_000


class Idle:
    """A backend that does nothing."""

    name, precision, device, max_batch, sizes = "idle", "fp32", "cpu", None, None
    preferred_batch, concurrency = 1, 1
    closed = False

    def run(self, inputs: Any) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        self.closed = True


def test_images_are_counted_on_their_way() -> None:
    idle = Idle()
    counting = Counting(idle)
    counting.run({"image": np.zeros((3, 1, 1, 3), np.uint8)})
    counting.run({"image": np.zeros((1, 1, 1, 3), np.uint8)})
    counting.close()
    assert counting.images == 4 and idle.closed
    times = latency(idle, {}, 0.01)
    assert 0 <= times["latency_ms_p50"] <= times["latency_ms_p99"]


class Doubling:
    """A backend that counts its runs."""

    name, precision, device, max_batch, sizes, runs = "doubling", "fp32", "cpu", None, None, 0
    preferred_batch, concurrency = 1, 1

    def run(self, inputs: Any) -> dict[str, Any]:
        self.runs += 1
        return {"twice": 2.0 * inputs["image"]}

    def close(self) -> None:
        pass


def test_a_replay_gives_what_was_given_without_running() -> None:
    doubling = Doubling()
    replay = Replay(doubling)
    images = np.arange(4 * 20 * 20 * 3, dtype=np.float32).reshape(4, 20, 20, 3)
    for _ in range(3):
        np.testing.assert_array_equal(replay.run({"image": images})["twice"], 2 * images)
        np.testing.assert_array_equal(replay.run({"image": images[2:3]})["twice"], 2 * images[2:3])
    assert doubling.runs == 4


def test_a_part_that_fails_costs_no_other() -> None:
    kept: list[dict[str, Any]] = []

    def broken() -> dict[str, Any]:
        raise BackendError("the device is gone")

    def crashing() -> dict[str, Any]:
        raise RuntimeError("unexpected")

    steps = {
        "one": lambda: {"fps": 5.0},
        "two": broken,
        "three": crashing,
        "four": lambda: {"fp32": {"x": 1}, "int8": {"error": "no engine"}},
        "five": "dry run",
    }
    done = gpu.run_parts(steps, lambda: 1.0, lambda so_far: kept.append(json.loads(json.dumps(so_far))))
    assert [p["state"] for p in done.values()] == ["done", "failed", "failed", "failed", "not run"]
    assert done["two"]["reason"] == "the device is gone"
    assert done["three"]["reason"] == "RuntimeError: unexpected"
    assert done["four"]["reason"] == "no result for int8" and done["four"]["result"]["fp32"] == {"x": 1}
    assert [len(k) for k in kept] == [1, 2, 3, 4, 5]
    lines = gpu.table({"gpu": "Orin", "driver": ""}, done)
    assert lines[0] == "gpu Orin" and "two: failed, the device is gone" in lines


def test_no_part_begins_when_the_time_is_up() -> None:
    done = gpu.run_parts({"one": dict}, lambda: 0.0, lambda so_far: None)
    assert done["one"] == {"state": "not run", "reason": "the time was up"}


def test_a_dry_run_writes_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = SAMPLES / "street.mp4"
    if not video.is_file() or not (bundled() / "bundle.json").is_file():
        pytest.skip("needs the sample video and the default bundle")
    pytest.importorskip("onnxruntime")
    out = tmp_path / "gpu.json"
    quick = ["--det-size", "672x384", "--images", "4", "--seconds", "0.1"]
    assert gpu.main(["--dry-run", "--video", str(video), *quick, "--out", str(out)]) == 0
    report = json.loads(out.read_text(encoding="utf-8"))
    assert report["dry_run"] and report["parts"]["reference"]["state"] == "done"
    assert report["parts"]["reference"]["result"]["images"] == 4
    names = list(report["parts"])
    first = ["build det fp16", "build rec fp16", "agreement fp16", "throughput fp16", "pipeline fp16"]
    assert names[:9] == ["reference", "host", *first, "refusals", "memory"]
    rates = report["parts"]["host"]["result"]["frames_per_second_by_batches_at_work"]
    assert set(rates) == {"1", "2", "4", "8"} and min(rates.values()) > 0
    assert report["parts"]["build rec fp32"] == {"state": "not run", "reason": "dry run"}
    assert "reference: done" in capsys.readouterr().out


def test_a_second_call_goes_on_with_the_report_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    machine = {"gpu": "Orin", "tensorrt": "10.3.0"}
    report = {"machine": machine, "bundle": "b", "flags": {"tf32": False}, "dry_run": False}
    assert gpu._earlier(path, report) == {}
    first = {"a": {"state": "done", "result": {"x": 1}}, "b": {"state": "failed"}, "c": {"state": "not run"}}
    path.write_text(json.dumps({**report, "parts": first}), encoding="utf-8")
    earlier = gpu._earlier(path, report)
    assert set(earlier) == {"a", "b"}
    now = {"a": {"state": "not run"}, "b": {"state": "done"}, "c": {"state": "not run"}}
    joined = gpu._joined(earlier, now)
    assert [joined[name]["state"] for name in "abc"] == ["done", "done", "not run"]
    for change in ({"bundle": "other"}, {"flags": {}}, {"machine": {"gpu": "Orin", "tensorrt": "10.4.0"}}):
        assert gpu._earlier(path, {**report, **change}) == {}
    path.write_text("{", encoding="utf-8")
    assert gpu._earlier(path, report) == {}


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--dry-run", "--video", str(tmp_path / "no.mp4")]) == 2
    assert capsys.readouterr().err.startswith(f"benchmarks.gpu: {tmp_path / 'no.mp4'}: no frames to read")
