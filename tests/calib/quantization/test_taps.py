"""Tensors inside of a model come out of a run."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers import networks

from edge_lpr.calib.quantization.taps import TappedModel
from edge_lpr.errors import ModelError


def test_inner_tensors_come_out_and_the_model_stays_as_it_is(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    batch = networks.batches(1)[0]
    values = TappedModel(model, ["sum", "out", "c0"]).run(batch)
    assert list(values) == ["sum", "out", "c0"]
    assert values["c0"].shape == (2, 8, networks.SIDE, networks.SIDE)
    np.testing.assert_allclose(values["out"].sum(axis=-1), 1, rtol=1e-5)
    assert model.SerializeToString() == before


def test_a_tensor_that_is_not_there(model: onnx.ModelProto) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        TappedModel(model, ["nowhere"])
