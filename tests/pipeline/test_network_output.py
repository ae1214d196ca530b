"""A network whose numbers are none is an error that names the model, and never "no plates"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_lpr.backends import Models, open_models
from edge_lpr.backends.wrapping import WrappedBackend
from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.errors import BackendError
from edge_lpr.pipeline.network_output import LEVELS, PackedMap, read_maps
from edge_lpr.pipeline.reader import PlateReader


class Overflowing(WrappedBackend):
    """A network one of whose numbers overflowed."""

    value = float("nan")

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        outputs = super().run(inputs)
        for output in outputs.values():
            output.flat[-1] = self.value
        return outputs


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("part", ["det", "rec"])
def test_a_number_that_is_not_finite_names_the_model(part: str, value: float) -> None:
    bundle = load_bundle()
    opened = open_models(bundle, backend="onnxruntime", precision="fp32", options={"threads": 1})
    damaged = Overflowing(opened.det if part == "det" else opened.rec)
    damaged.value = value
    det, rec = (damaged, opened.rec) if part == "det" else (opened.det, damaged)
    with PlateReader(models=Models(det, rec, opened.why)) as reader:
        image = np.full((64, 200, 3), 110, np.uint8)
        with pytest.raises(BackendError, match="numbers that are not finite") as caught:
            reader.read(image) if part == "det" else reader.read_crops([image])
    name, file = {"det": ("detector", bundle.det), "rec": ("recognizer", bundle.rec)}[part]
    named = f"the {name} ({file.precisions['fp32'].path}, fp32) in onnxruntime on "
    assert str(caught.value).startswith(named)
    assert "\n" not in str(caught.value)


def test_a_reduced_precision_is_told_of_the_reference() -> None:
    opened = open_models(load_bundle(), backend="onnxruntime", precision="int8", options={"threads": 1})
    models = Models(Overflowing(opened.det), opened.rec, opened.why)
    with PlateReader(models=models) as reader, pytest.raises(BackendError, match="try --precision fp32"):
        reader.read(np.zeros((32, 64, 3), np.uint8))


def packed(levels: NDArray[np.uint8], total: float = 1.0, thresh: float = 0.3) -> dict[str, NDArray[Any]]:
    """What an engine returns in place of a map."""
    names = PackedMap.of("prob", thresh)
    bits = np.packbits(levels > thresh * LEVELS, axis=-1)
    return {names.levels: levels, names.above: bits, names.total: np.array([total] * len(levels), np.float32)}


class Named:
    """What an error says of a backend."""

    name, precision, device = "tensorrt", "fp16", "a GPU"


def test_a_packed_map_is_unpacked() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (2, 4, 32), np.uint8)
    maps = read_maps(packed(levels), "prob", 0.3, Named(), {})  # type: ignore[arg-type]
    assert len(maps) == 2
    for one, of in zip(maps, levels, strict=True):
        np.testing.assert_array_equal(one.values, of)
        np.testing.assert_array_equal(one.above, of > 0.3 * LEVELS)
        assert one.unit == 1 / LEVELS
        part = one.part(3, 20)
        assert part.values.shape == part.above.shape == (3, 20)
    # Of a threshold that the engine does not know, the levels decide.
    other = read_maps(packed(levels), "prob", 0.7, Named(), {})  # type: ignore[arg-type]
    np.testing.assert_array_equal(other[0].above, levels[0] > 0.7 * LEVELS)


@pytest.mark.parametrize("total", [float("nan"), float("inf")])
def test_a_packed_map_of_a_number_that_is_not_finite_names_the_model(total: float) -> None:
    outputs = packed(np.zeros((1, 4, 32), np.uint8), total)
    said = r"the detector \(fp16\) in tensorrt on a GPU returned numbers that are not finite"
    with pytest.raises(BackendError, match=said):
        read_maps(outputs, "prob", 0.3, Named(), {})  # type: ignore[arg-type]


def test_an_output_of_another_name_is_no_map() -> None:
    with pytest.raises(BackendError, match="returned heat, expected 'prob'"):
        read_maps({"heat": np.zeros((1, 4, 32))}, "prob", 0.3, Named(), {})  # type: ignore[arg-type]
