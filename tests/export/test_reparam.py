"""Re-parameterised layers split into branches and fused again."""

import numpy as np
import pytest

from edge_lpr.architectures.lcnet import BRANCHES, FUSED, RepConv
from edge_lpr.architectures.registry import ARCHITECTURES
from edge_lpr.export.reparam import Statistics, fuse_branches, rep_convs, split_branches

LAYERS = [
    RepConv(8, 8, 3, 1, groups=8),
    RepConv(8, 8, 5, 2, groups=8),
    RepConv(8, 8, 3, (2, 1), groups=8),
    RepConv(8, 12, 1),
    RepConv(8, 8, 1),
]


@pytest.mark.parametrize("layer", LAYERS)
def test_what_is_split_computes_the_same(layer: RepConv) -> None:
    rng = np.random.default_rng(3)
    weight = rng.normal(size=(layer.out, layer.inside // layer.groups, layer.kernel, layer.kernel))
    given = {
        f"l.{FUSED}.weight": weight.astype(np.float32),
        f"l.{FUSED}.bias": rng.normal(size=layer.out).astype(np.float32),
        "l.lab.scale": np.ones(1, np.float32),
    }
    statistics = Statistics(rng.normal(size=layer.out) * 3, rng.uniform(0.01, 9, layer.out))
    found = split_branches(given, "l.", layer, rng, statistics)
    back = fuse_branches(found, "l.", layer)
    for name, value in zip(("weight", "bias"), back, strict=True):
        np.testing.assert_allclose(value, given[f"l.{FUSED}.{name}"], rtol=2e-6, atol=2e-6)
    # The norm of the first branch has the statistics that were measured, so that it may follow batches.
    np.testing.assert_allclose(found["l.conv_kxk.0.bn._mean"], statistics.mean, rtol=1e-6)
    assert all(found[f"l.conv_kxk.{i}.conv.weight"].std() > 0 for i in range(BRANCHES))


def test_all_branches_count() -> None:
    layer = LAYERS[0]
    rng = np.random.default_rng(4)
    arrays = {}
    for name, shape in (("conv_kxk", (8, 1, 3, 3)), ("conv_1x1", (8, 1, 1, 1)), ("identity", None)):
        for path in [f"{name}.{i}." for i in range(BRANCHES)] if name == "conv_kxk" else [f"{name}."]:
            norm = path if shape is None else f"{path}bn."
            if shape is not None:
                arrays[f"{path}conv.weight"] = rng.normal(size=shape).astype(np.float32)
            for part in ("weight", "bias", "_mean", "_variance"):
                arrays[norm + part] = rng.uniform(0.5, 1.5, 8).astype(np.float32)
    weight, bias = fuse_branches(arrays, "", layer)
    image = rng.normal(size=(8, 5, 5))
    total = 0.0
    for norm in [*(f"conv_kxk.{i}.bn." for i in range(BRANCHES)), "conv_1x1.bn.", "identity."]:
        kernel = arrays.get(norm.replace("bn.", "conv.weight"))
        if kernel is None or kernel.shape[-1] == 1:
            centre = image[:, 2, 2] * (1 if kernel is None else kernel[:, 0, 0, 0])
        else:
            centre = (image[:, 1:4, 1:4] * kernel[:, 0]).sum((1, 2))
        factor, shift, mean, variance = (arrays[norm + p] for p in ("weight", "bias", "_mean", "_variance"))
        total = total + (centre - mean) / np.sqrt(variance + 1e-5) * factor + shift
    np.testing.assert_allclose((image[:, 1:4, 1:4] * weight[:, 0]).sum((1, 2)) + bias, total, rtol=1e-5)


def test_the_layers_of_a_network() -> None:
    found = dict(rep_convs(ARCHITECTURES["PP-OCRv4_mobile_rec"].network(9, False)))
    assert len(found) == 28
    assert found["backbone.blocks2.0.dw_conv."] == RepConv(16, 16, 3, 1, groups=16)
