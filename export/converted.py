"""What paddle2onnx writes that no runtime takes, put right."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

__all__ = ["unsqueeze_scalars"]

_AXES = "scalar_axes"


def unsqueeze_scalars(data: bytes) -> bytes:
    """Makes lists of one of the scalars that a Concat joins with lists.

    Programs of Paddle 2 keep a size that they take from a tensor's shape as a scalar, and the converter joins
    it with constants of shape 1 to the target of a Reshape.

    Args:
        data: An ONNX model, unchecked.

    Returns:
        The model with an Unsqueeze in front of these Concats; what is no ONNX model, or has none of them, as
        it is.
    """
    try:
        model = onnx.load_model_from_string(data)
        inferred = shape_inference.infer_shapes(model)
    except Exception:  # the caller's check says what is wrong with it
        return data
    infos = (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output)
    ranks = {i.name: len(i.type.tensor_type.shape.dim) for i in infos if i.type.tensor_type.HasField("shape")}
    nodes: list[onnx.NodeProto] = []
    changed: dict[str, str] = {}
    for node in model.graph.node:
        scalars = [n for n in node.input if ranks.get(n) == 0]
        if node.op_type == "Concat" and 0 < len(scalars) < len(node.input):
            for name in scalars:
                if name not in changed:
                    changed[name] = f"{name}_list"
                    nodes.append(helper.make_node("Unsqueeze", [name, _AXES], [changed[name]]))
            node.input[:] = [changed.get(n, n) for n in node.input]
        nodes.append(node)
    if not changed:
        return data
    kept = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.int64), _AXES))
    changed_data: bytes = model.SerializeToString()
    return changed_data
