"""FP16: a typed graph, FP16 tensors and weights in the file itself, with FP32 where FP16 overflows.

Which nodes those are is found by running the network: a node stays in FP32 when a calibration image takes
one of its tensors, or a sum that it adds up inside (the squares of a layer norm, the terms of a mean or a
softmax), beyond a quarter of FP16's largest number. Layer norms and the last softmax do whatever is seen
(`sensitive_nodes`). The input stays uint8 and the output float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, shape_inference

from edge_lpr.calib.quantization.job import Job
from edge_lpr.calib.quantization.taps import TappedModel
from edge_lpr.errors import ModelError
from edge_lpr.onnx_graph.fold import attribute
from edge_lpr.onnx_graph.graph import OnnxGraph
from edge_lpr.onnx_graph.pool_first import pool_first
from edge_lpr.precisions import PRECISIONS
from edge_lpr.types import Batch, Tick

__all__ = ["OVERFLOW_BATCHES", "find_overflows", "make", "sensitive_nodes", "to_fp16"]

FP16_MAX = 65504.0
# A calibration set does not hold the brightest image there is.
HEADROOM = 4.0
LIMIT = FP16_MAX / HEADROOM
# Overflows are looked for on so many batches at most: every activation of the network is held and looked at.
OVERFLOW_BATCHES = 24
# Inputs that the operator's definition fixes to float32, by position.
_FIXED_INPUTS: Mapping[str, frozenset[int]] = {"Resize": frozenset({1, 2})}
_LAYERS = ("Conv", "ConvTranspose", "MatMul", "Gemm")
_SUMS = ("LayerNormalization", "GlobalAveragePool", "AveragePool", "ReduceMean", "ReduceSum", "Softmax")


def make(job: Job, tick: Tick) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Makes the FP16 model of one part; see `edge_lpr.calib.quantization.job`."""
    graph = OnnxGraph(job.model)
    pool_first(graph)
    model = graph.to_model(job.part)
    reasons = sensitive_nodes(model) | find_overflows(model, job.inputs[:OVERFLOW_BATCHES], tick)
    to_fp16(graph, reasons)
    made = graph.to_model(f"{job.part}_fp16")
    for name, why in reasons.items():
        job.report(f"{job.part} fp16: {name} stays in FP32: {why}")
    accuracy = job.accuracy("fp16", made)
    reference, budget = job.reference(), PRECISIONS["fp16"].budget
    if accuracy < reference - budget / 100:
        lost = 100 * (reference - accuracy)
        job.warn(f"{job.part} fp16 loses {lost:.2f} points, more than {budget:g}")
    return made, {
        "float_layers": [{"layer": name, "why": why} for name, why in reasons.items()],
        "accuracy": job.measured("fp16", accuracy),
    }


def sensitive_nodes(model: onnx.ModelProto) -> dict[str, str]:
    """Lists the nodes that compute in FP32 whatever the calibration images show.

    A layer norm divides by a root of a mean of squares: where a row is nearly even, FP16's smallest numbers
    make noise of it, and where it is not, the squares overflow. The last softmax, and what follows it, is
    what the reader takes for probabilities: of three digits, the second best character has one. Both are
    small beside the rest of a network.

    Args:
        model: The FP32 model, nodes named.

    Returns:
        The reason by node name.
    """
    nodes = list(model.graph.node)
    reasons = {n.name: "its mean of squares needs FP32" for n in nodes if n.op_type == "LayerNormalization"}
    last = next((i for i in reversed(range(len(nodes))) if nodes[i].op_type == "Softmax"), None)
    if last is None:
        return reasons
    outputs = {output.name for output in model.graph.output}
    after = set(nodes[last].output)
    behind = [nodes[last]]
    for node in nodes[last + 1 :]:
        if after.intersection(node.input):
            after.update(node.output)
            behind.append(node)
    if outputs <= after and not any(node.op_type in _LAYERS for node in behind):
        reasons |= {node.name: "makes the probabilities that are the output" for node in behind}
    return reasons


def find_overflows(
    model: onnx.ModelProto, inputs: Iterable[Batch], tick: Tick | None = None
) -> dict[str, str]:
    """Runs a model and lists the nodes that cannot be trusted to FP16.

    Args:
        model: The FP32 model, nodes named.
        inputs: Batches for its input, uint8 N×H×W×3.
        tick: Called with 1 after each batch.

    Returns:
        The reason by node name.

    Raises:
        ModelError: There were no inputs, or ONNX Runtime cannot run the model.
    """
    inferred = shape_inference.infer_shapes(model)
    own_inputs = {i.name for i in inferred.graph.input}
    tapped = TappedModel(inferred, (name for name in _float_tensors(inferred) if name not in own_inputs))
    peak: dict[str, float] = {}
    sums: dict[str, float] = {}
    for batch in inputs:
        values = tapped.run(batch)
        for name, value in values.items():
            peak[name] = max(peak.get(name, 0.0), float(np.abs(value).max()))
        for node in model.graph.node:
            if node.op_type in _SUMS and node.input[0] in values:
                sums[node.name] = max(sums.get(node.name, 0.0), _largest_sum(node, values[node.input[0]]))
        if tick is not None:
            tick(1)
    if not peak:
        raise ModelError("no calibration image: FP16's overflows are found by running the network")
    reasons: dict[str, str] = {}
    for node in model.graph.node:
        largest = max((peak.get(name, 0.0) for name in (*node.input, *node.output)), default=0.0)
        if not largest <= LIMIT:
            reasons[node.name] = f"a value of {largest:.3g}"
        elif not sums.get(node.name, 0.0) <= LIMIT:
            reasons[node.name] = f"a sum of {sums[node.name]:.3g} inside"
    return reasons


def _largest_sum(node: onnx.NodeProto, value: NDArray[np.float32]) -> float:
    if node.op_type == "LayerNormalization":
        centred = value - value.mean(axis=-1, keepdims=True)
        return float(np.square(centred).sum(axis=-1).max())
    if node.op_type == "GlobalAveragePool":
        return float(np.abs(value).sum(axis=tuple(range(2, value.ndim))).max())
    if node.op_type == "AveragePool":
        return float(np.abs(value).max()) * float(np.prod(attribute(node, "kernel_shape", [1])))
    if node.op_type == "Softmax":
        return float(value.shape[int(attribute(node, "axis", -1))])  # each term is e^(x - max), 1 at most
    return float(np.abs(value).sum(axis=-1).max())


def _float_tensors(model: onnx.ModelProto) -> list[str]:
    infos = [*model.graph.value_info, *model.graph.output, *model.graph.input]
    return [i.name for i in infos if i.type.tensor_type.elem_type == TensorProto.FLOAT]


def to_fp16(graph: OnnxGraph, float_layers: Iterable[str]) -> None:
    """Turns a graph into typed FP16, in place.

    Args:
        graph: An FP32 graph that takes uint8, nodes named; with Q and DQ in opset 19 or later.
        float_layers: Names of the nodes that stay in FP32.

    Raises:
        ModelError: A weight of another node is beyond FP16.
    """
    stays = set(float_layers)
    model = shape_inference.infer_shapes(graph.to_model("fp16"), data_prop=True)
    floats = set(_float_tensors(model))
    full = {i.name for i in graph.inputs} | {o for n in graph.nodes if n.name in stays for o in n.output}
    half = floats - full
    casts: dict[tuple[str, bool], str] = {}
    for node in list(graph.nodes):
        wants_half = node.name not in stays
        if node.op_type == "Cast" and node.output[0] in half:
            _set_attribute(node, "to", TensorProto.FLOAT16)
            continue
        fixed = _FIXED_INPUTS.get(node.op_type, frozenset())
        for i, name in enumerate(node.input):
            if i in fixed or (name not in floats and name not in graph.constants):
                continue
            if name in graph.constants:
                changes = wants_half and graph.constants[name].dtype == np.float32
            else:
                changes = wants_half != (name in half)
            if changes:
                if (name, wants_half) not in casts:
                    casts[name, wants_half] = _cast(graph, node, name, wants_half)
                node.input[i] = casts[name, wants_half]
    for output in graph.outputs:
        if output.name in half:
            _float_output(graph, output.name)


def _cast(graph: OnnxGraph, node: onnx.NodeProto, name: str, to_half: bool) -> str:
    """Returns a tensor in the other type: a constant as a constant, an activation behind a Cast."""
    if name in graph.constants:
        return _half_constant(graph, name)
    position = next(j for j, n in enumerate(graph.nodes) if n is node)
    kind = TensorProto.FLOAT16 if to_half else TensorProto.FLOAT
    return graph.insert(position, "Cast", [name], f"{name}_cast", to=kind)


def _float_output(graph: OnnxGraph, name: str) -> None:
    producer = graph.producer(name)
    assert producer is not None
    inner = graph.fresh(f"{name}_half")
    graph.reroute(name, inner)
    producer.output[list(producer.output).index(name)] = inner
    graph.nodes.append(onnx.helper.make_node("Cast", [inner], [name], to=TensorProto.FLOAT))


def _half_constant(graph: OnnxGraph, name: str) -> str:
    value = graph.constants[name]
    largest = float(np.abs(value).max(initial=0.0))
    if not largest <= FP16_MAX:
        raise ModelError(f"the constant {name!r} holds {largest:.3g}, beyond FP16: keep its node in FP32")
    return graph.constant(f"{name}_half", value.astype(np.float16))


def _set_attribute(node: onnx.NodeProto, name: str, value: Any) -> None:  # noqa: ANN401 - any attribute
    for existing in node.attribute:
        if existing.name == name:
            existing.CopyFrom(onnx.helper.make_attribute(name, value))
