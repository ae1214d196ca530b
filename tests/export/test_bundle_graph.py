"""The graphs' two ends: uint8 images in, probabilities out, heads cut exactly."""

import numpy as np
import onnx
import pytest
from helpers import onnx_models as models

from edge_lpr.errors import ModelError
from edge_lpr.export.bundle_graph import (
    DET_MEAN,
    DET_STD,
    REC_MEAN,
    REC_STD,
    det_model,
    head_classes,
    rec_model,
    simplified,
)
from edge_lpr.export.parity.comparison import cut_reference, normalised


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, shape, np.uint8)


def dims(value: onnx.ValueInfoProto) -> list[int | str]:
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


def test_detection_takes_uint8_and_is_exact_along_the_edges() -> None:
    before, image = models.small_det(), pixels(2, 32, 64, 3)
    after = det_model(before)
    wanted = models.run(before, normalised(image, DET_MEAN, DET_STD))[:, 0]
    found = models.run(after, image)
    assert found.shape == (2, 32, 64)
    # The outermost pixels are where a shift folded into a padded convolution would go wrong.
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    assert dims(after.graph.input[0]) == ["N", "H", "W", 3]
    assert dims(after.graph.output[0]) == ["N", "H", "W"]
    assert (after.graph.input[0].name, after.graph.output[0].name) == ("image", "prob")
    assert models.kinds(after)[:4] == ["Cast", "Transpose", "Sub", "Conv"]


def test_other_means_and_deviations() -> None:
    before, image = models.small_det(), pixels(1, 32, 32, 3)
    mean, std = (10.0, 20.0, 30.0), (40.0, 50.0, 60.0)
    wanted = models.run(before, normalised(image, mean, std))[:, 0]
    np.testing.assert_allclose(models.run(det_model(before, mean, std), image), wanted, atol=2e-6)


def test_normalisation_is_a_product_where_no_convolution_can_take_it() -> None:
    b = models.Builder()
    before = b.model(b.op("Sigmoid", b.op("ReduceMean", "x", axes=[1])))
    image = pixels(1, 32, 32, 3)
    wanted = models.run(before, normalised(image, DET_MEAN, DET_STD))[:, 0]
    np.testing.assert_allclose(models.run(det_model(before), image), wanted, atol=2e-6)


@pytest.mark.parametrize("width", [64, 160])
def test_recognition_with_its_whole_head(width: int) -> None:
    before, image = models.small_rec(12), pixels(3, 48, width, 3)
    after = rec_model(before)
    wanted = models.run(before, normalised(image, REC_MEAN, REC_STD))
    np.testing.assert_allclose(models.run(after, image), wanted, atol=2e-6)
    assert dims(after.graph.input[0]) == ["N", 48, "W", 3]
    assert dims(after.graph.output[0]) == ["N", "T", 12]


def test_the_cut_head_keeps_probabilities_and_gathers_the_rest() -> None:
    before, image, keep = models.small_rec(12), pixels(2, 48, 64, 3), [0, 7, 3, 11]
    after = rec_model(before, keep=keep)
    wanted = cut_reference(models.run(before, normalised(image, REC_MEAN, REC_STD)), keep)
    found = models.run(after, image)
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)
    assert found.min() >= 0
    assert "Gather" not in models.kinds(after)


def test_a_head_that_keeps_all_leaves_nothing_for_others() -> None:
    found = models.run(rec_model(models.small_rec(5), keep=list(range(5))), pixels(1, 48, 64, 3))
    assert found.shape[-1] == 6
    assert found[..., -1].min() >= 0
    assert found[..., -1].max() < 1e-6


def test_a_head_without_a_plain_linear_layer_is_cut_all_the_same() -> None:
    b = models.Builder()
    x = b.op("AveragePool", b.conv("x", 3, 9), kernel_shape=[48, 1], strides=[48, 1])
    x = b.op("Transpose", b.op("Squeeze", x, axes=[2]), perm=[0, 2, 1])
    before, keep, image = b.model(b.op("Softmax", x, axis=2), rank=3), [0, 5, 2], pixels(1, 48, 32, 3)
    wanted = cut_reference(models.run(before, normalised(image, REC_MEAN, REC_STD)), keep)
    after = rec_model(before, keep=keep)
    np.testing.assert_allclose(models.run(after, image), wanted, atol=2e-6)
    assert "Gather" in models.kinds(after)


@pytest.mark.parametrize("keep", [[], [0, 0], [0, 12], [-1, 2]])
def test_classes_that_a_head_does_not_have(keep: list[int]) -> None:
    with pytest.raises(ModelError, match="12 classes"):
        rec_model(models.small_rec(12), keep=keep)


def test_one_given_as_the_other() -> None:
    with pytest.raises(ModelError, match="is it a recognition model"):
        det_model(models.small_rec())
    with pytest.raises(ModelError, match="is it a detection model"):
        rec_model(models.small_det())
    assert head_classes(simplified(models.small_rec(12), (None, None))) == 12


def test_a_head_without_softmax() -> None:
    b = models.Builder()
    x = b.op("AveragePool", b.conv("x", 3, 9), kernel_shape=[48, 1], strides=[48, 1])
    model = b.model(b.op("Transpose", b.op("Squeeze", x, axes=[2]), perm=[0, 2, 1]), rank=3)
    with pytest.raises(ModelError, match="ends in Transpose"):
        rec_model(model)


def test_inputs_that_are_no_image() -> None:
    b = models.Builder()
    with pytest.raises(ModelError, match="N×3×H×W"):
        det_model(b.model(b.op("Sigmoid", "x"), shape=("N", 1, 32, 32)))
