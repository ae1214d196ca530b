"""What paddle2onnx writes of a Paddle 2 program's shapes becomes a model that runs."""

import numpy as np
import onnx
from helpers.onnx_models import Builder, run

from edge_lpr.export.converted import unsqueeze_scalars


def joined() -> onnx.ModelProto:
    """A Reshape to a size that is taken from the input's shape, kept as a scalar."""
    b = Builder(opset=17)
    size = b.op("Slice", b.op("Shape", "x"), *(b.const([n], np.int64) for n in (3, 4, 0)))
    scalar = b.op("Squeeze", size, b.const([0], np.int64))
    ones = b.const([0], np.int64), b.const([-1], np.int64)
    targets = [b.op("Concat", ones[0], scalar, ones[1], axis=0) for _ in range(2)]
    shaped = b.op("Reshape", "x", targets[0])
    return b.model(b.op("Reshape", shaped, targets[1]), (1, 3, 4, "W"), rank=3)


def test_scalars_are_joined_as_lists() -> None:
    before = joined().SerializeToString()
    after = onnx.load_model_from_string(unsqueeze_scalars(before))
    onnx.checker.check_model(after, full_check=True)
    assert [n.op_type for n in after.graph.node].count("Unsqueeze") == 1
    image = np.arange(60, dtype=np.float32).reshape(1, 3, 4, 5)
    np.testing.assert_array_equal(run(after, image), image.reshape(1, 5, 12))


def test_other_models_are_left_alone() -> None:
    b = Builder()
    whole = b.model(b.op("Concat", "x", "x", axis=1)).SerializeToString()
    assert unsqueeze_scalars(whole) == whole
    assert unsqueeze_scalars(b"no model") == b"no model"
