"""The lists of parameters: complete, and strict about what a checkpoint holds."""

import math

import numpy as np
import pytest

from edge_lpr.architectures.registry import ARCHITECTURES
from edge_lpr.architectures.weights import Parameter, check_parameters
from edge_lpr.errors import ModelError

DET, REC = ARCHITECTURES["ch_PP-OCRv3_det"], ARCHITECTURES["ch_PP-OCRv3_rec"]


def zeros(classes: int = 71) -> dict[str, np.ndarray]:
    return {p.name: np.zeros(p.shape, np.float32) for p in REC.parameters(classes)}


def check(arrays: dict[str, np.ndarray]) -> list[str]:
    wanted = REC.parameters(71)
    return check_parameters(arrays, wanted, REC.training_only, "c", family="PP-OCRv3", hint="see the list")


def test_as_many_values_as_the_general_models_have() -> None:
    # Counted in the ONNX models of rapidocr-onnxruntime 1.2.11: 288 and 196 arrays.
    det, rec = DET.parameters(), REC.parameters(6625)
    assert (len(det), sum(math.prod(p.shape) for p in det)) == (288, 592625)
    assert (len(rec), sum(math.prod(p.shape) for p in rec)) == (196, 2652257)
    assert len({p.name for p in det}) == 288
    assert len(DET.parameters(training=True)) == 288 + 13


def test_names_shapes_and_slots_are_those_of_paddleocr() -> None:
    det = {p.name: p for p in DET.parameters(training=True)}
    rec = {p.name: p for p in REC.parameters(6625)}
    for p in (
        Parameter("backbone.conv.conv.weight", (8, 3, 3, 3), "conv2d", "w_0"),
        Parameter("backbone.stage2.5.bottleneck_conv.conv.weight", (336, 1, 3, 3), "conv2d", "w_0"),
        Parameter("backbone.stage3.3.bn._variance", (480,), "batch_norm", "w_2"),
        Parameter("neck.ins_conv.3.in_conv.weight", (96, 480, 1, 1), "conv2d", "w_0"),
        Parameter("neck.inp_conv.0.se_block.conv1.bias", (6,), "conv2d", "b_0"),
        Parameter("head.thresh.conv3.weight", (24, 1, 2, 2), "conv2d_transpose", "w_0"),
    ):
        assert det[p.name] == p
    for p in (
        Parameter("backbone.conv1._batch_norm._mean", (16,), "batch_norm", "w_1"),
        Parameter("backbone.block_list.12._pointwise_conv._conv.weight", (512, 512, 1, 1), "conv2d", "w_0"),
        Parameter("backbone.block_list.11._se.conv1.weight", (64, 256, 1, 1), "conv2d", "w_0"),
        Parameter("head.ctc_encoder.encoder.conv1x1.norm._mean", (64,), "batch_norm2d", "w_1"),
        Parameter("head.ctc_encoder.encoder.svtr_block.1.mixer.qkv.weight", (120, 360), "linear", "w_0"),
        Parameter("head.ctc_encoder.encoder.norm.bias", (120,), "layer_norm", "b_0"),
        Parameter("head.ctc_head.fc.weight", (64, 6625), "linear", "w_0"),
    ):
        assert rec[p.name] == p
    # Paddle's internal numbers follow the order of creation: the neck's two lists take turns.
    order = [p.name.rsplit(".", 2)[0] for p in DET.parameters() if p.name.endswith("in_conv.weight")]
    assert order == [f"neck.{kind}.{i}" for i in range(4) for kind in ("ins_conv", "inp_conv")]


def test_a_whole_checkpoint_passes_and_unused_heads_are_listed() -> None:
    arrays = zeros()
    assert REC.classes(arrays, "c") == 71
    assert check(arrays) == []
    arrays["head.sar_head.decoder.embedding.weight"] = np.zeros((3, 3), np.float32)
    assert check(arrays) == ["head.sar_head.decoder.embedding.weight"]


def test_what_is_missing_unexpected_or_wrong_is_named() -> None:
    arrays = zeros()
    gone = arrays.pop("backbone.block_list.3._depthwise_conv._conv.weight")
    with pytest.raises(ModelError, match=r"block_list\.3\._depthwise_conv\._conv\.weight"):
        check(arrays)
    with pytest.raises(ModelError, match=r"PP-OCRv3 does not have, first 'backbone\.extra'"):
        check({**zeros(), "backbone.extra": gone})
    with pytest.raises(ModelError, match=r"shape \(5,\), expected \(16,\)"):
        check({**zeros(), "backbone.conv1._batch_norm.bias": np.zeros(5, np.float32)})
    with pytest.raises(ModelError, match="type int64"):
        check({**zeros(), "backbone.conv1._batch_norm.bias": np.zeros(16, np.int64)})
