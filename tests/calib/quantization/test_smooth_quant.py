"""Scales move from activations into weights, and nothing changes in float."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from helpers import networks

from edge_lpr.calib.quantization.layers import QuantLayer, find_layers, watch
from edge_lpr.calib.quantization.range_estimator import observe
from edge_lpr.calib.quantization.smooth_quant import smooth_activations, smoothing_factors
from edge_lpr.onnx_graph.graph import OnnxGraph


def test_smoothing_factors() -> None:
    weight = np.ones((2, 2, 1, 1), np.float32)
    layer = QuantLayer("c", "Conv", ("x",), "w")
    scale = smoothing_factors(np.array([100, 1], np.float32), [(layer, weight)], 0.5)
    assert scale[0] / scale[1] == pytest.approx(10)
    depthwise = QuantLayer("d", "Conv", ("x",), "w", groups=2)
    scale = smoothing_factors(np.array([100, 1], np.float32), [(depthwise, weight[:, :1])], 0.5)
    assert scale[0] / scale[1] == pytest.approx(100)
    assert np.isfinite(smoothing_factors(np.array([0, 1], np.float32), [(layer, 0 * weight)], 0.5)).all()


def test_moving_scales_changes_nothing_in_float_and_folds_where_it_can(model: onnx.ModelProto) -> None:
    graph = OnnxGraph(model)
    layers = find_layers(graph)
    stats = observe(model, watch(layers), networks.batches())
    moved = {m.tensor: m for m in smooth_activations(graph, layers, stats, 0.5)}
    np.testing.assert_allclose(networks.outputs(graph.to_model("moved")), networks.outputs(model), atol=1e-5)
    assert moved["a1"].folded  # through ReLU into the convolution before it
    assert moved["norm"].folded  # into gamma and beta
    assert moved["p2"].folded  # one value per channel costs nothing
    assert not moved["sum"].folded  # a residual sum: the product stays
    assert moved["a0"].spread > 10
    # What the layers read is even now, and is what the statistics say without running again.
    seen = observe(graph.to_model("moved"), {moved["a0"].scaled: 1}, networks.batches())[moved["a0"].scaled]
    foretold = stats["a0"].divided(moved["a0"].scale)
    np.testing.assert_allclose(seen.channel_max, foretold.channel_max, rtol=1e-4)
    assert seen.channel_max.max() / seen.channel_max.min() < moved["a0"].spread


def test_moved_scales_save_the_small_channels(
    model: onnx.ModelProto, quantized: Callable[[onnx.ModelProto, float | None], onnx.ModelProto]
) -> None:
    reference = networks.outputs(model)
    plain = float(np.abs(networks.outputs(quantized(model, None)) - reference).mean())
    cured = float(np.abs(networks.outputs(quantized(model, 0.5)) - reference).mean())
    assert cured < plain / 2
