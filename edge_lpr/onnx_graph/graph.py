"""An ONNX graph as the export passes edit it: nodes in order, constants as numpy arrays.

`OnnxGraph` holds what `onnx.ModelProto` spreads over initializers, `Constant` nodes and value infos. The
passes (`fold`, `fuse`) change it in place, and `to_model` writes it back: shapes inferred, checked in full
mode, every node named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference, version_converter

from edge_lpr.errors import ModelError, one_line
from edge_lpr.io.bounded_io import read_bounded

__all__ = ["MAX_ONNX_BYTES", "OPSET", "OnnxGraph", "load_onnx"]

OPSET = 17
"""The opset that bundles are written in: the first with LayerNormalization, and TensorRT 8.6 reads it."""

MAX_ONNX_BYTES = 512 << 20
# The IR that came with each opset; a newer one would lock out older runtimes for nothing.
_IR_VERSIONS = {OPSET: 8, 19: 9}

Array = NDArray[Any]


def load_onnx(source: str | Path | bytes, label: str | None = None) -> onnx.ModelProto:
    """Reads an ONNX file and checks it in full mode.

    Args:
        source: The file, or its bytes.
        label: What error messages call it; the path where None.

    Raises:
        ModelError: Missing, too large, not ONNX, damaged, or with its weights in other files.
    """
    name = label or ("the ONNX model" if isinstance(source, bytes) else str(source))
    if isinstance(source, bytes):
        data = source
    else:
        excess = "{size} bytes, more than the {limit} that export reads"
        data = read_bounded(source, MAX_ONNX_BYTES, "a model", ModelError, label=name, excess=excess)
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as e:
        raise ModelError(f"{name}: not an ONNX file, or a damaged one ({one_line(e)})") from e
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer):
        raise ModelError(f"{name}: keeps its weights in other files; save it as one file")
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, shape_inference.InferenceError, RuntimeError, ValueError) as e:
        raise ModelError(f"{name}: not a valid ONNX model ({one_line(e)})") from e
    return model


class OnnxGraph:
    """A graph that passes edit in place.

    Attributes:
        nodes: Operators in execution order; no `Constant` and `Identity` among them.
        constants: Weights and other fixed tensors by name.
        inputs: The graph's inputs, without the constants.
        outputs: The graph's outputs.
        opset: The opset that it is written in.
    """

    def __init__(self, model: onnx.ModelProto, opset: int = OPSET) -> None:
        """Takes a checked model apart and brings it to an opset.

        Args:
            model: A model in that opset or older; it stays unchanged.
            opset: 17, or 19: the first whose QuantizeLinear and DequantizeLinear know FP16.

        Raises:
            ModelError: Its operators cannot be brought to that opset, or are none of ONNX's own.
        """
        domains = {o.domain: o.version for o in model.opset_import}
        foreign = {n.domain for n in model.graph.node} - {"", "ai.onnx"}
        if foreign:
            raise ModelError(
                f"the ONNX model has operators of {sorted(foreign)}: only ONNX's own are supported"
            )
        version = domains.get("", domains.get("ai.onnx", 0))
        if version > opset:
            raise ModelError(f"the ONNX model is in opset {version}: export it in opset {opset} or older")
        if version < opset:
            try:
                model = version_converter.convert_version(_with_ranks(model), opset)
            except (RuntimeError, ValueError) as e:
                raise ModelError(f"the ONNX model cannot be brought to opset {opset} ({one_line(e)})") from e
        self.opset = opset
        try:
            self.constants: dict[str, Array] = {
                t.name: numpy_helper.to_array(t) for t in model.graph.initializer
            }
        except (ValueError, TypeError) as e:
            raise ModelError(f"the ONNX model has a damaged constant ({one_line(e)})") from e
        self.inputs = [_freed(i) for i in model.graph.input if i.name not in self.constants]
        self.outputs = [_freed(o) for o in model.graph.output]
        self.nodes: list[onnx.NodeProto] = []
        for node in model.graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = _constant_value(node)
            else:
                self.nodes.append(onnx.NodeProto.FromString(node.SerializeToString()))
        self._names = set(self.constants) | {name for n in self.nodes for name in n.output}

    def fresh(self, stem: str) -> str:
        """Returns a tensor name that the graph does not use yet."""
        name, i = stem, 1
        while name in self._names:
            name, i = f"{stem}_{i}", i + 1
        self._names.add(name)
        return name

    def constant(self, stem: str, value: Array) -> str:
        """Adds a constant under a fresh name.

        Returns:
            The name.
        """
        name = self.fresh(stem)
        self.constants[name] = np.ascontiguousarray(value).reshape(value.shape)
        return name

    def scalar(self, name: str) -> float | None:
        """Returns the value of a constant with one element; None for anything else."""
        value = self.constants.get(name)
        return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None

    def producer(self, name: str) -> onnx.NodeProto | None:
        """Returns the node that makes a tensor; None for inputs and constants."""
        return next((n for n in self.nodes if name in n.output), None)

    def consumers(self, name: str) -> list[onnx.NodeProto]:
        """Returns the nodes that read a tensor, in order."""
        return [n for n in self.nodes if name in n.input]

    def only_consumer(self, name: str) -> onnx.NodeProto | None:
        """Returns the one node that reads a tensor; None where several do or it is a graph output."""
        readers = self.consumers(name)
        return readers[0] if len(readers) == 1 and not self.is_output(name) else None

    def is_output(self, name: str) -> bool:
        """Tells whether a tensor is a graph output."""
        return any(o.name == name for o in self.outputs)

    def reroute(self, old: str, new: str) -> None:
        """Lets everything that read `old` read `new`; a graph output keeps its own name and is left alone."""
        for node in self.nodes:
            for i, name in enumerate(node.input):
                if name == old:
                    node.input[i] = new

    def rename(self, old: str, new: str) -> None:
        """Gives a node's output another name, for all that read it too."""
        producer = self.producer(old)
        assert producer is not None
        producer.output[list(producer.output).index(old)] = new
        self._names.add(new)
        self.reroute(old, new)

    def insert(
        self,
        before: int,
        op_type: str,
        inputs: Sequence[str],
        stem: str,
        **attributes: Any,  # noqa: ANN401
    ) -> str:
        """Inserts a node.

        Args:
            before: Position in `nodes` that the new node takes.
            op_type: ONNX operator.
            inputs: Names of its inputs.
            stem: What its output should be called.
            **attributes: The operator's attributes.

        Returns:
            The name of its output.
        """
        output = self.fresh(stem)
        self.nodes.insert(before, helper.make_node(op_type, list(inputs), [output], **attributes))
        return output

    def shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Infers the shape of every tensor; None stands for a free dimension."""
        model = shape_inference.infer_shapes(self._assemble(), data_prop=True)
        found: dict[str, tuple[int | None, ...]] = {n: c.shape for n, c in self.constants.items()}
        for info in (*model.graph.value_info, *model.graph.input, *model.graph.output):
            tensor = info.type.tensor_type
            if tensor.HasField("shape"):
                found[info.name] = tuple(
                    d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None
                    for d in tensor.shape.dim
                )
        return found

    def remove_dead(self) -> None:
        """Drops the nodes and constants that no output depends on."""
        needed = {o.name for o in self.outputs}
        alive: list[onnx.NodeProto] = []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                alive.append(node)
        self.nodes = alive[::-1]
        self.constants = {n: c for n, c in self.constants.items() if n in needed}

    def part(self, output: str) -> onnx.ModelProto:
        """Returns what makes one tensor, float32, as a model of its own; it is not checked."""
        part = copy(self)
        part.outputs = [helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)]
        part.remove_dead()
        return part._assemble()

    def to_model(self, name: str, doc: str = "") -> onnx.ModelProto:
        """Writes the graph back as a model: dead parts dropped, shapes inferred, nodes named, checked.

        Args:
            name: The graph's name.
            doc: The model's doc string.

        Raises:
            ModelError: The result is no valid model; the passes did not understand the graph.
        """
        self.remove_dead()
        for node, label in zip(self.nodes, _labels(self.nodes), strict=True):
            node.name = label
        try:
            model = shape_inference.infer_shapes(self._assemble(name, doc), strict_mode=True, data_prop=True)
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, shape_inference.InferenceError, RuntimeError, ValueError) as e:
            raise ModelError(f"{name}: the exported graph is not valid ({one_line(e)})") from e
        return model

    def _assemble(self, name: str = "graph", doc: str = "") -> onnx.ModelProto:
        used = {i for n in self.nodes for i in n.input} | {o.name for o in self.outputs}
        graph = helper.make_graph(
            self.nodes,
            name,
            self.inputs,
            self.outputs,
            [numpy_helper.from_array(c, n) for n, c in self.constants.items() if n in used],
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self.opset)],
            ir_version=_IR_VERSIONS[self.opset],
            producer_name="edge-lpr",
            doc_string=doc,
        )


def _freed(info: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    """Returns a tensor's description whose free dimensions are free.

    Paddle's exporters write -1 as a size, and "?" as the name of several dimensions, which would make them
    equal.
    """
    info = onnx.ValueInfoProto.FromString(info.SerializeToString())
    for dim in info.type.tensor_type.shape.dim:
        if dim.dim_value < 0 or dim.dim_param == "?":
            dim.Clear()
    return info


def _with_ranks(model: onnx.ModelProto) -> onnx.ModelProto:
    """Infers shapes, and the ranks that ONNX's inference does not see.

    Where a Reshape's target is computed, inference says nothing at all of its output, although the target's
    length is the rank. The version converter needs the rank of what a Softmax of opset 12 reads: over any but
    the last axis it means another thing from opset 13 on, and without the rank each is rewritten as Flatten,
    Softmax and Reshape.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    for infos in (model.graph.input, model.graph.output):
        freed = [_freed(info) for info in infos]
        del infos[:]
        infos.extend(freed)
    while True:
        model = shape_inference.infer_shapes(model, data_prop=True)
        infos_by_name = {i.name: i for i in (*model.graph.value_info, *model.graph.output)}
        lengths = {t.name: t.dims[0] for t in model.graph.initializer if len(t.dims) == 1}
        lengths |= {
            i.name: i.type.tensor_type.shape.dim[0].dim_value
            for i in infos_by_name.values()
            if len(i.type.tensor_type.shape.dim) == 1
        }
        found = False
        for node in model.graph.node:
            info = infos_by_name.get(node.output[0])
            rank = lengths.get(node.input[1], 0) if node.op_type == "Reshape" else 0
            if rank and info is not None and not info.type.tensor_type.HasField("shape"):
                info.type.tensor_type.shape.dim.extend(onnx.TensorShapeProto.Dimension() for _ in range(rank))
                found = True
        if not found:
            return model


def _labels(nodes: Sequence[onnx.NodeProto]) -> Iterator[str]:
    # Quantization and TensorRT speak of layers by name, so every node gets one that stays the same from run
    # to run.
    seen: Counter[str] = Counter()
    for node in nodes:
        yield f"{node.op_type}_{seen[node.op_type]}"
        seen[node.op_type] += 1


def _constant_value(node: onnx.NodeProto) -> Array:
    attribute = node.attribute[0]
    value = helper.get_attribute_value(attribute)
    if attribute.name == "value":
        return numpy_helper.to_array(value)
    if attribute.name in ("value_float", "value_floats"):
        return np.asarray(value, np.float32)
    if attribute.name in ("value_int", "value_ints"):
        return np.asarray(value, np.int64)
    raise ModelError(f"the ONNX model has a Constant of kind {attribute.name!r}, which export does not read")
