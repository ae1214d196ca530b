"""The slim detector's own parts."""

from __future__ import annotations

import pytest
from helpers.extras import reason

from edge_lpr.architectures.registry import ARCHITECTURES
from edge_lpr.architectures.slim import TopDownFPN
from edge_lpr.architectures.spec import Conv2d, attributes

LARGE, SLIM = ARCHITECTURES["ch_PP-OCRv3_det"], ARCHITECTURES["slim_det"]


def test_the_neck_has_a_convolution_a_level_and_one_between_two() -> None:
    assert attributes(TopDownFPN((3, 5, 7), (16, 32, 48))) == {
        "lateral": [Conv2d(3, 16, 1, bias=True), Conv2d(5, 32, 1, bias=True), Conv2d(7, 48, 1, bias=True)],
        "down": [Conv2d(32, 16, 3, bias=True), Conv2d(48, 32, 3, bias=True)],
    }


def test_it_has_the_larger_ones_stages_behind_the_first() -> None:
    ours, theirs = ({p.name: p.shape for p in a.parameters()} for a in (SLIM, LARGE))
    stages = ("backbone.stage1.", "backbone.stage2.", "backbone.stage3.")
    assert {n: s for n, s in ours.items() if n.startswith(stages)} == {
        n: s for n, s in theirs.items() if n.startswith(stages)
    }


def test_every_level_reaches_the_map() -> None:
    torch = pytest.importorskip("torch", reason=reason("torch", "finetune"))
    from edge_lpr.architectures.torch_builder import build

    torch.manual_seed(0)
    neck = build(TopDownFPN((3, 5, 7), (16, 32, 48)))
    maps = [torch.randn(1, c, 16 >> i, 24 >> i, requires_grad=True) for i, c in enumerate((3, 5, 7))]
    out = neck(maps)
    assert out.shape == (1, 16, 16, 24)
    out.square().sum().backward()
    assert all(float(m.grad.abs().sum()) > 0 for m in maps)
