"""`edge-lpr calibrate`: FP16 and INT8 models for a bundle."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge_lpr.console.progress import Progress
from edge_lpr.environment import cache_folder
from edge_lpr.errors import MissingExtraError, SettingError

DESCRIPTION = """\
Makes typed FP16 and explicit INT8 (Q/DQ) ONNX models of a bundle's FP32 ones, and measures on
labelled images what they cost. TensorRT builds engines from them, ONNX Runtime runs them.

Half of the images (96 scenes and 192 crops at most, spread over province, brightness,
sharpness, tilt and size) give the ranges; the other half measures the accuracy. INT8 leaves in
float (FP32) the few layers that make most of its noise, up to --spare of the multiply-adds, and
more only where it would lose more than --budget; FP16 keeps in FP32 what was seen to overflow.
At the end both models together read the images that measure the accuracy. Without labels,
FP32's own readings stand in for them.

INT8 is for GPUs and for size. On a CPU ONNX Runtime reads it with the same accuracy, but computes
its convolutions in float, with conversions between them: slower than FP32.

What was measured is remembered: an interrupted run goes on where it was. The bundle changes at
the very end, in one step.
"""

EPILOG = """\
examples:
  edge-lpr calibrate mybundle --data CCPD2020/ccpd_green/val
  edge-lpr calibrate mybundle --data plates/ --precision int8 --budget 0.1
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("bundle", metavar="BUNDLE", help="folder of the bundle; it is changed")
    parser.add_argument(
        "--data", nargs="+", required=True, metavar="DATA", help="label files or folders of images"
    )
    parser.add_argument(
        "--precision", nargs="+", default=["fp16", "int8"], choices=("fp16", "int8"), help="default: both"
    )
    parser.add_argument(
        "--budget", type=float, default=0.2, metavar="POINTS", help="accuracy INT8 may lose, in points (0.2)"
    )
    parser.add_argument(
        "--spare",
        type=float,
        metavar="PERCENT",
        help="multiply-adds INT8 may leave in float for less noise (detector 9, recognizer 4.5)",
    )
    parser.add_argument("--images", type=int, default=96, metavar="N", help="scenes to calibrate on (96)")
    parser.add_argument("--validation", type=int, default=200, metavar="N", help="scenes to measure on (200)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the choice of images (0)")
    parser.add_argument("--cache", metavar="DIR", help="where measured figures are kept ('' for nowhere)")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    try:
        from edge_lpr.calib.quantization.calibrate import calibrate
        from edge_lpr.calib.quantization.calibration_data import CalibrationOptions
    except ImportError as e:
        raise MissingExtraError(e.name or "onnx", "calib", "`edge-lpr calibrate`") from e
    if not 0 <= args.budget <= 100:
        raise SettingError(f"--budget is {args.budget}, expected 0 to 100 points")
    if args.spare is not None and not 0 <= args.spare <= 100:
        raise SettingError(f"--spare is {args.spare}, expected 0 to 100 per cent")
    for name, low, high in (("images", 1, 1000), ("validation", 1, 100_000)):
        if not low <= getattr(args, name) <= high:
            raise SettingError(f"--{name} is {getattr(args, name)}, expected {low} to {high}")
    options = CalibrationOptions(
        precisions=tuple(dict.fromkeys(args.precision)),
        images=args.images,
        validation=args.validation,
        budget=args.budget / 100,
        spare=None if args.spare is None else args.spare / 100,
        seed=args.seed,
        cache=cache_folder("calibrate") if args.cache is None else Path(args.cache) if args.cache else None,
    )

    def stage(label: str, total: int | None) -> Progress:
        return Progress(label, total, "images")

    calibrate(args.bundle, args.data, options, stage, lambda line: print(line, file=sys.stderr, flush=True))
    print(f"{args.bundle}: {', '.join(options.precisions)} added; edge-lpr compare shows what they cost")
    return 0
