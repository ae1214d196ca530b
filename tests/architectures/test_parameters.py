"""The lists of parameters: complete, and strict about what a checkpoint holds."""

import math

import numpy as np
import pytest

from edge_lpr.architectures.parameters import (
    DET_UNUSED,
    REC_UNUSED,
    check_parameters,
    ctc_classes,
    det_parameters,
    rec_parameters,
)
from edge_lpr.errors import ModelError


def zeros(classes: int = 71) -> dict[str, np.ndarray]:
    return {p.name: np.zeros(p.shape, np.float32) for p in rec_parameters(classes)}


def test_as_many_values_as_the_general_models_have() -> None:
    # Counted in the ONNX models of rapidocr-onnxruntime 1.2.11: 288 and 196 arrays.
    det, rec = det_parameters(), rec_parameters(6625)
    assert (len(det), sum(math.prod(p.shape) for p in det)) == (288, 592625)
    assert (len(rec), sum(math.prod(p.shape) for p in rec)) == (196, 2652257)
    assert len({p.name for p in det}) == 288
    assert len(det_parameters(with_threshold=True)) == 288 + 13


def test_a_whole_checkpoint_passes_and_unused_heads_are_listed() -> None:
    arrays = zeros()
    assert ctc_classes(arrays, "c") == 71
    assert check_parameters(arrays, rec_parameters(71), REC_UNUSED, "c") == []
    arrays["head.sar_head.decoder.embedding.weight"] = np.zeros((3, 3), np.float32)
    assert check_parameters(arrays, rec_parameters(71), REC_UNUSED, "c") == [
        "head.sar_head.decoder.embedding.weight"
    ]


def test_what_is_missing_unexpected_or_wrong_is_named() -> None:
    wanted = rec_parameters(71)
    arrays = zeros()
    gone = arrays.pop("backbone.block_list.3._depthwise_conv._conv.weight")
    with pytest.raises(ModelError, match=r"block_list\.3\._depthwise_conv\._conv\.weight"):
        check_parameters(arrays, wanted, REC_UNUSED, "c")
    with pytest.raises(ModelError, match=r"does not have, first 'backbone\.extra'"):
        check_parameters({**zeros(), "backbone.extra": gone}, wanted, REC_UNUSED, "c")
    with pytest.raises(ModelError, match=r"shape \(5,\), expected \(16,\)"):
        wrong = {**zeros(), "backbone.conv1._batch_norm.bias": np.zeros(5, np.float32)}
        check_parameters(wrong, wanted, REC_UNUSED, "c")
    with pytest.raises(ModelError, match="type int64"):
        wrong = {**zeros(), "backbone.conv1._batch_norm.bias": np.zeros(16, np.int64)}
        check_parameters(wrong, wanted, REC_UNUSED, "c")


def test_a_detection_checkpoint_as_recognition() -> None:
    arrays = {p.name: np.zeros(p.shape, np.float32) for p in det_parameters(with_threshold=True)}
    with pytest.raises(ModelError, match="it is a detection checkpoint"):
        ctc_classes(arrays, "c")
    assert len(check_parameters(arrays, det_parameters(), DET_UNUSED, "c")) == 13
