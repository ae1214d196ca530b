"""Batches in a backend's own memory: the same results, nothing allocated, and nothing kept too long."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_lpr.backends.lending import Lender, Loan, lend
from edge_lpr.backends.wrapping import WrappedBackend
from edge_lpr.bundle.manifest import DetSpec, RecSpec
from edge_lpr.pipeline.detector import Detector
from edge_lpr.pipeline.recognizer import Recognizer
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.types import Batch, Image, Size

MOST = 4 * 768 * 1312 * 3


class Network:
    """The detector's map, or the recognizer's posteriors: the first channel over 255, or of one row of it."""

    name, precision, device = "network", "fp32", "none"
    max_batch: int | None = None
    preferred_batch, concurrency = 8, 1

    def __init__(self, row: int | None = None, sizes: tuple[Size, ...] | None = None) -> None:
        self.row, self.sizes = row, sizes

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        (batch,) = inputs.values()
        shown = batch[..., 0] if self.row is None else batch[:, self.row, :, 0].reshape(len(batch), -1, 4)
        return {"out": np.divide(shown, 255, dtype=np.float32)}

    def close(self) -> None:
        pass


class LendingNetwork(Network):
    """The same in memory of its own, which holds rubbish before a loan and after it."""

    def __init__(self, row: int | None = None, sizes: tuple[Size, ...] | None = None) -> None:
        super().__init__(row, sizes)
        self.memory, self.results = np.empty(MOST, np.uint8), np.empty(MOST // 3, np.float32)
        self.loans = 0

    @contextmanager
    def lend(self, name: str, shape: tuple[int, ...]) -> Iterator[Loan]:
        assert name == "image"
        self.memory[:], self.results[:] = 201, np.nan
        self.loans += 1
        yield _Lent(self, self.memory[: int(np.prod(shape))].reshape(shape))
        self.memory[:], self.results[:] = 202, np.nan


class _Lent:
    def __init__(self, network: LendingNetwork, batch: Batch) -> None:
        self.network, self.batch = network, batch

    def run(self) -> Mapping[str, NDArray[Any]]:
        found = Network.run(self.network, {"image": self.batch})["out"]
        result = self.network.results[: found.size].reshape(found.shape)
        result[:] = found
        return {"out": result}


def detector(network: Network) -> Detector:
    spec = DetSpec("image", "out", 32, 736, "min", 1600, {}, {})
    return Detector(network, spec, DetectorSettings(det_limit_side_len=736, det_limit_type="min"))


def recognizer(network: Network) -> Recognizer:
    charset = ("A", "B", "C")
    return Recognizer(network, RecSpec("image", "out", 16, (32, 64), "pad", charset, False, {}))


def scenes() -> list[Image]:
    rng = np.random.default_rng(3)
    images = [np.zeros((*size, 3), np.uint8) for size in ((736, 992), (720, 1160), (500, 800))]
    for image in images:
        y, x = rng.integers(100, 300, 2)
        image[y : y + 60, x : x + 220] = 255
    return images


def test_what_a_backend_does_not_lend_is_the_callers_own() -> None:
    network = Network()
    assert not isinstance(network, Lender)
    with lend(network, "image", (1, 4, 4, 3)) as one, lend(network, "image", (1, 4, 4, 3)) as other:
        assert not np.shares_memory(one.batch, other.batch)
        one.batch[:], other.batch[:] = 255, 51
        first, second = one.run()["out"], other.run()["out"]
    assert (first == 1.0).all() and (second == np.float32(0.2)).all()


@pytest.mark.parametrize("sizes", [None, ((768, 1312),), ((736, 1312), (736, 992))])
def test_boxes_are_the_same_in_lent_memory_whatever_it_held(sizes: tuple[Size, ...] | None) -> None:
    lending = LendingNetwork(sizes=sizes)
    expected = detector(Network(sizes=sizes)).detect_batch(scenes())
    found = detector(lending).detect_batch(scenes())
    assert lending.loans >= 1 and all(expected)
    for one, other in zip(expected, found, strict=True):
        assert [box.score for box in one] == [box.score for box in other]
        assert all(np.array_equal(a.corners, b.corners) for a, b in zip(one, other, strict=True))


def test_posteriors_stay_when_the_memory_is_lent_again() -> None:
    lending = LendingNetwork(row=3)
    rng = np.random.default_rng(5)
    crops = [rng.integers(0, 256, (20, width, 3), np.uint8) for width in (30, 40, 70, 25)]
    expected = recognizer(Network(row=3)).probabilities(crops)
    found = recognizer(lending).probabilities(crops)
    assert lending.loans == 2
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_put_around_a_backend_sees_all_runs() -> None:
    lending = LendingNetwork()
    assert not isinstance(WrappedBackend(lending), Lender)
    assert all(detector(WrappedBackend(lending)).detect_batch(scenes())) and lending.loans == 0  # type: ignore[arg-type]


def test_with_lent_memory_no_batch_is_allocated() -> None:
    image = np.zeros((736, 1280, 3), np.uint8)

    def peak(network: Network) -> int:
        finder = detector(network)
        finder.detect_batch([image] * 4)
        tracemalloc.start()
        finder.detect_batch([image] * 4)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(Network()) - peak(LendingNetwork()) > 0.9 * 4 * image.nbytes
