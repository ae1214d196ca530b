"""`edge-lpr calibrate`: FP16 and INT8 models for a bundle."""

from __future__ import annotations

import argparse
import sys
from itertools import chain
from pathlib import Path
from typing import get_args

from edge_lpr.calib.quantization.options import CalibrationOptions, makeable, wanted
from edge_lpr.console.output import say
from edge_lpr.console.progress import Progress
from edge_lpr.environment import cache_folder
from edge_lpr.errors import MissingExtraError
from edge_lpr.io.atomic_io import check_writable, create_folder
from edge_lpr.io.claims import check_outputs, files_in
from edge_lpr.precisions import Target
from edge_lpr.settings import add_options, given
from edge_lpr.types import PARTS

DESCRIPTION = """\
Makes typed FP16 and explicit INT8 (Q/DQ) ONNX models of a bundle's FP32 ones, and measures on
labelled images what they cost. TensorRT builds engines from them, ONNX Runtime runs them.

Half of the images (96 scenes and 192 labelled crops at most, stratified by province,
brightness, sharpness, tilt and size) give the ranges; the other half measures the accuracy.

INT8 tries range estimators (MSE, percentile) and SmoothQuant, and corrects biases. It leaves in
float the layers that are most sensitive to it, up to --float-budget, and more only where it would
lose more than --budget. The float part of int8 is FP16, as engines run it, that of int8-cpu FP32.
FP16 keeps in FP32 what was seen to overflow, in int8 too. At the end both models together read
the images that measure the accuracy. Without labels, FP32's own readings stand in for them.

A precision that the bundle holds is kept where too few plates judge the new one (183 for the
detector and as many for the recognizer rule out a loss of 2 points), or where the new one reads
them worse; --force replaces it all the same.

--target says whose rules INT8 follows. That of tensorrt, int8, is for GPUs and for size: on a CPU
ONNX Runtime computes its convolutions in float, slower than FP32. That of cpu, int8-cpu, is what
ONNX Runtime has integer kernels for; no engines are built of it.

Images that cannot be read are left out and named; the exit code is 2 then, once all is done.

What was measured is remembered: an interrupted run goes on where it was. The bundle changes at
the very end, in one step.
"""

EPILOG = """\
examples:
  edge-lpr calibrate mybundle --data CCPD2020/ccpd_green/val
  edge-lpr calibrate mybundle --data plates/ --precision int8 --budget 0.1
  edge-lpr calibrate mybundle --data few/ --precision int8 --force
  edge-lpr calibrate mybundle --data plates/ --target cpu       (INT8 that is faster on a CPU)
  edge-lpr calibrate mybundle --data plates/ --float-budget 0   (float only where accuracy needs it)
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("bundle", metavar="BUNDLE", help="folder of the bundle; it is changed")
    parser.add_argument(
        "--data",
        nargs="+",
        required=True,
        metavar="DATA",
        help="label files, or folders of images with or without labels",
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        default=[],
        choices=makeable(),
        help="what to make (default: all of the target)",
    )
    parser.add_argument(
        "--part",
        choices=PARTS,
        help="only the detector (det) or the recognizer (rec); the other keeps what it has (default: both)",
    )
    parser.add_argument(
        "--target",
        choices=get_args(Target),
        help=f"what it is for: tensorrt makes {' and '.join(makeable('tensorrt'))} (default), cpu makes "
        f"{' and '.join(makeable('cpu'))}",
    )
    add_options(parser.add_argument, CalibrationOptions)
    parser.add_argument(
        "--cache",
        metavar="DIR",
        help="folder that remembers measured figures, '' for none (default: in the user's cache)",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    try:
        from edge_lpr.calib.quantization.calibrate import calibrate
        from edge_lpr.datasets.labels import label_inputs
    except ImportError as e:
        raise MissingExtraError(e.name or "onnx", "calib", "`edge-lpr calibrate`") from e
    written = chain(files_in("BUNDLE", args.bundle), files_in("--cache", args.cache or None))
    outputs = ((name, path) for name, path in written if path.suffix in (".onnx", ".json"))
    check_outputs(outputs, label_inputs("--data", args.data, unlabelled=True))
    check_writable(Path(args.bundle, "bundle.json") if Path(args.bundle).is_dir() else None)
    chosen = given(args, CalibrationOptions)
    chosen["precisions"] = wanted(args.target, args.precision)
    if args.part:
        chosen["parts"] = (args.part,)
    chosen["cache"] = (
        cache_folder("calibrate") if args.cache is None else Path(args.cache) if args.cache else None
    )
    if args.cache:  # one that was asked for and cannot be had would cost a search its memory
        create_folder(Path(args.cache))
    options = CalibrationOptions(**chosen)

    def stage(label: str, total: int | None) -> Progress:
        return Progress(label, total, "images")

    unread: list[str] = []

    def leave_out(line: str) -> None:
        unread.append(line)
        say(line, stream=sys.stderr)

    made = calibrate(
        args.bundle, args.data, options, stage, lambda line: say(line, stream=sys.stderr), leave_out
    )
    of = f" of {args.part}" if args.part else ""
    say(f"{args.bundle}: now holds {' and '.join(made)}{of}; edge-lpr compare shows the cost")
    return 2 if unread else 0
