"""How the GPU benchmark counts and compares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_lpr.benchmarks.gpu_measures import (
    CountingBackend,
    ReplayBackend,
    against_engines,
    compare_reads,
    growth,
    latency,
    slowest_layers,
    together,
    within_budget,
)
from edge_lpr.plates import PlateRead


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
    engines = together(dets, 4000.0, crops=2.0)
    assert engines == pytest.approx(666.667, abs=0.001)
    result = against_engines(engines, 600.0, {"1": 400.0, "2": 640.0}, crops=2.0)
    assert (result["engines_alone"], result["engines_with_copies"], result["pipeline"]) == (
        666.7,
        600.0,
        640.0,
    )
    assert result["share_of_engines_alone"] == 0.96 and result["reached"] is True
    assert result["share_of_engines_with_copies"] == 1.067
    assert against_engines(engines, None, {"1": 630.0}, crops=2.0)["reached"] is False  # 0.945
    for unknown in (([2000.0, None], 4000.0), (dets, 0.0), ([], 4000.0)):
        assert together(*unknown, crops=2.0) is None
    assert against_engines(None, None, {"1": 400.0}, crops=2.0)["share_of_engines_alone"] is None


def test_the_slowest_layers_come_first_with_their_share() -> None:
    found = slowest_layers({"a": 1.0, "b": 3.0, "c": 0.0}, most=2)
    assert found == [{"layer": "b", "ms": 3.0, "share": 0.75}, {"layer": "a", "ms": 1.0, "share": 0.25}]
    assert slowest_layers({}) == []


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
    counting = CountingBackend(idle)
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
    replay = ReplayBackend(doubling)
    images = np.arange(4 * 20 * 20 * 3, dtype=np.float32).reshape(4, 20, 20, 3)
    for _ in range(3):
        np.testing.assert_array_equal(replay.run({"image": images})["twice"], 2 * images)
        np.testing.assert_array_equal(replay.run({"image": images[2:3]})["twice"], 2 * images[2:3])
    assert doubling.runs == 4
