"""How exactly each network is exported: its checkpoint, and its inference models in Paddle 2's and 3's form.

Each is converted and compared with Paddle on ten pictures: of 640 pixels at most for detectors, strips of
48×320 for recognizers. Weights that are not given are drawn. Prints a table.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_lpr.architectures.pdparams import save_checkpoint
from edge_lpr.architectures.registry import ARCHITECTURES, Architecture
from edge_lpr.architectures.weights import Parameter
from edge_lpr.bundle.writer import DET_POSTPROCESS, DET_SIZE
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say, show
from edge_lpr.console.tables import table
from edge_lpr.environment import machine
from edge_lpr.errors import ModelError, SettingError
from edge_lpr.export.bundle_graph import DET_MEAN, DET_STD, REC_MEAN, REC_STD, det_model, rec_model
from edge_lpr.export.paddle_model import PaddleModel, open_model
from edge_lpr.export.parity.comparison import Comparison
from edge_lpr.export.parity.images import probe_images, read_images
from edge_lpr.export.parity.with_paddle import DetGraphs, RecGraphs, compare_det, compare_rec
from edge_lpr.export.settings import BOUND
from edge_lpr.io.atomic_io import write_json
from edge_lpr.io.claims import check_outputs, files_in
from edge_lpr.types import Arrays, Image

__all__ = ["FORMS", "drawn_weights"]

FORMS = ("checkpoint", "Paddle 2", "Paddle 3")
"""What is exported: the `.pdparams`; an inference model in the form of Paddle 2, a `.pdmodel`, and of 3."""
_GIVEN = {
    "weights": "a network's .pdparams (default: drawn)",
    "paddle2": "an inference model of a network, as Paddle 2 saved it (default: in its form, by Paddle 3)",
}
_NEWEST = 3
_PACKAGES = ("paddlepaddle", "paddle2onnx", "onnx")
_CLASSES = 93
_PICTURES = 10
_SIZE = {**DET_SIZE, "stride": 32, "limit_side_len": 480, "max_side_len": 640}
_SAVE = """
import sys
sys.path[:] = sys.argv[5:]
import paddle
from paddle.base.layer_helper import LayerHelper
from edge_lpr.architectures.paddle_builder import filled
from edge_lpr.architectures.pdparams import load_checkpoint
from edge_lpr.architectures.registry import identify

def older(kind, names):
    def call(*tensors, **_):
        helper = LayerHelper(kind)
        out = helper.create_variable_for_type_inference(tensors[0].dtype)
        inputs = {name: [tensor] for name, tensor in zip(names, tensors)}
        helper.append_op(type=kind, inputs=inputs, outputs={"Out": [out]})
        return out
    return call

if sys.argv[4] == "2":
    # Paddle 3 lets its functions of these write programs of its own form alone.
    paddle.nn.functional.sigmoid = older("sigmoid", ["X"])
    paddle.static.Variable.matmul = paddle.matmul = older("matmul_v2", ["X", "Y"])
arrays = load_checkpoint(sys.argv[1])
found = identify(arrays, sys.argv[2], sys.argv[1])
spec = paddle.static.InputSpec([None, 3, found.architecture.height, None], "float32", "x")
paddle.jit.save(filled(found, arrays), sys.argv[3], input_spec=[spec])
"""


def drawn_weights(wanted: Sequence[Parameter], seed: int = 0) -> Arrays:
    """Draws weights whose activations neither die nor explode, float32 by name."""
    random = np.random.default_rng(seed)
    arrays: Arrays = {}
    for p in wanted:
        if p.slot == "w_2":
            value = random.uniform(0.5, 1.5, p.shape)
        elif p.slot in ("w_1", "b_0"):
            value = random.normal(0, 0.1, p.shape)
        elif len(p.shape) == 1:
            value = random.uniform(0.8, 1.2, p.shape)
        else:
            fan_in = p.shape[0] if p.kind == "linear" else int(np.prod(p.shape[1:]))
            value = random.normal(0, np.sqrt(1.2 / fan_in), p.shape)
        arrays[p.name] = value.astype(np.float32)
    return arrays


def _saved(checkpoint: Path, architecture: Architecture, folder: Path, *, version: int) -> Path:
    """Saves a checkpoint's network as an inference model, in a process of its own.

    Args:
        checkpoint: The `.pdparams`.
        architecture: What it is of.
        folder: Where to put it.
        version: Of Paddle whose form it has: 2 writes inference.pdmodel, 3 inference.json.
    """
    place = folder / f"paddle{version}"
    command = [sys.executable, "-W", "ignore", "-c", _SAVE, str(checkpoint), architecture.part]
    command += [str(place / "inference"), str(version), *sys.path]
    form = {"FLAGS_enable_pir_api": str(int(version == _NEWEST))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **form})
    if done.returncode:
        why = " ".join(done.stderr.strip().splitlines()[-1:])
        raise ModelError(f"{architecture.name}: Paddle cannot save it ({why})")
    return place


def _compared(model: PaddleModel, architecture: Architecture, images: Mapping[str, Image]) -> Comparison:
    """Compares what a bundle would hold with Paddle."""
    raw = model.convert()
    if architecture.part == "det":
        graphs = DetGraphs(raw, det_model(raw), DET_MEAN, DET_STD, _SIZE, DET_POSTPROCESS)
        return compare_det(model, graphs, images)[0][-1]
    height = architecture.height
    assert height is not None
    classes = raw.graph.output[0].type.tensor_type.shape.dim[-1].dim_value or _CLASSES
    charset = [chr(0x4E00 + i) for i in range(max(classes, 20_000))]
    folded = rec_model(raw, height)
    rec = RecGraphs(raw, folded, None, REC_MEAN, REC_STD, charset, (), (), height, (320,))
    return compare_rec(model, rec, images)[0][-1]


def _measured(
    names: Sequence[str], given: Mapping[str, Mapping[str, Path]], images: Mapping[str, Image]
) -> Iterator[tuple[str, str, dict[str, Comparison]]]:
    """Exports each network in each form; gives its name, its weights' source, and a comparison by form."""
    crops = {name: np.ascontiguousarray(image[200:248, :320]) for name, image in images.items()}
    for name in sorted(names, key=lambda n: ARCHITECTURES[n].part):
        architecture = ARCHITECTURES[name]
        pictures = images if architecture.part == "det" else crops
        with tempfile.TemporaryDirectory(prefix="edge-lpr-") as temporary:
            folder = Path(temporary)
            checkpoint = given["weights"].get(name, folder / "drawn.pdparams")
            if name not in given["weights"]:
                wanted = architecture.parameters(_CLASSES if architecture.part == "rec" else 0)
                save_checkpoint(checkpoint, drawn_weights(wanted))
            sources = {
                "checkpoint": checkpoint,
                "Paddle 2": given["paddle2"].get(name) or _saved(checkpoint, architecture, folder, version=2),
                "Paddle 3": _saved(checkpoint, architecture, folder, version=_NEWEST),
            }
            found = {form: _of(sources[form], architecture, pictures) for form in FORMS}
        yield name, "given" if name in given["weights"] else "drawn", found


def _of(source: Path, architecture: Architecture, pictures: Mapping[str, Image]) -> Comparison:
    model = open_model(source, architecture.part)
    try:
        return _compared(model, architecture, pictures)
    finally:
        model.close()


def _told(found: Comparison) -> str:
    same = f"{found.compared - len(found.differing)} of {found.compared} equal"
    own = f" (own rounding {found.rounding:.1e})" if found.rounding else ""
    verdict = "" if found.passed(BOUND) else ", DIFFERS"
    return f"{found.maximum:.1e}{own}, {same}{verdict}"


def _json(found: Comparison) -> dict[str, Any]:
    return {
        # No number where the network returned one that is none.
        "largest_difference": found.maximum if np.isfinite(found.maximum) else None,
        "own_rounding": found.rounding,
        "compared": found.compared,
        "equal": found.compared - len(found.differing),
        "passed": found.passed(BOUND),
    }


def _pair(option: str, text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or name not in ARCHITECTURES:
        names = ", ".join(ARCHITECTURES.names())
        raise SettingError(f"--{option} {text}: expected NETWORK=PATH, NETWORK one of {names}")
    return name, Path(path)


@module_main("benchmarks.networks")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command of this module."""
    parser = Parser(prog="python -m edge_lpr.benchmarks.networks", description=__doc__)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="names of networks (default: all)")
    for option, what in _GIVEN.items():
        parser.add_argument(
            f"--{option}",
            action="append",
            default=[],
            metavar="NETWORK=PATH",
            help=f"{what}; may be repeated",
        )
    parser.add_argument("--images", type=Path, metavar="DIR", help="pictures (default: drawn ones)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    args = parser.parse_args(argv)
    names = args.networks or list(ARCHITECTURES.names())
    for name in names:
        ARCHITECTURES[name]  # names the choices where there is none of that name
    given = {option: dict(_pair(option, text) for text in getattr(args, option)) for option in _GIVEN}
    inputs = [
        read
        for option, places in given.items()
        for place in places.values()
        for read in files_in(f"--{option}", place)
    ]
    check_outputs([("--json", args.json)], [*inputs, *files_in("--images", args.images)])
    images = probe_images(_PICTURES) if args.images is None else read_images(args.images, _PICTURES)
    rows = [["network", "weights", *FORMS]]
    networks = []
    for name, weights, found in _measured(names, given, images):
        rows.append([name, weights, *(_told(found[form]) for form in FORMS)])
        say(" | ".join(rows[-1]))
        forms = {form: _json(found[form]) for form in FORMS}
        networks.append({"network": name, "weights": weights, "forms": forms})
    show(table(rows))
    if args.json:
        write_json(args.json, {"machine": machine(*_PACKAGES), "images": len(images), "networks": networks})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
