"""How small a plate may be and is covered still in a picture for sharing.

    python -m edge_lpr.benchmarks.sharing ../shared/data/ccpd

Labelled pictures are made smaller until their plate is so many pixels wide, and then made shareable as
`edge-lpr serve` does it (`edge_lpr.serve.sharing`), without telling where the plate is. A plate counts as
covered where nine tenths of it were.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say, show
from edge_lpr.console.tables import table
from edge_lpr.counting import counted
from edge_lpr.datasets.labels import label_inputs, load_labels
from edge_lpr.environment import machine
from edge_lpr.io.atomic_io import write_json
from edge_lpr.io.claims import check_outputs
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.serve.sharing import blurred
from edge_lpr.types import Image, Quad

WIDTHS = (20, 24, 30, 37, 50, 70)
"""Pixels that plates are made wide."""
_COVERED = 0.9


def shrunk(image: Image, corners: Quad, width: int) -> tuple[Image, Quad] | None:
    """Returns a picture and its plate's corners so that the plate is so wide; None where it is no wider."""
    factor = width / float(np.linalg.norm(corners[1] - corners[0]))
    if factor >= 1:
        return None
    size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), np.asarray(corners * factor, np.float32)


def covered(image: Image, shared: Image, corners: Quad) -> float:
    """Returns the share of a plate that was replaced, 0 to 1.

    Args:
        image: uint8 H×W×3 BGR, the picture.
        shared: The same, made shareable.
        corners: The plate's corners, 4×2 in pixels.
    """
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1)
    return float((image != shared).any(axis=2)[mask > 0].mean())


@module_main("benchmarks.sharing")
def main(argv: Sequence[str] | None = None) -> int:
    """Prints the share of plates that are covered, by width."""
    parser = Parser(prog="python -m edge_lpr.benchmarks.sharing", description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help="labelled images")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, metavar="PX", help="of plates")
    parser.add_argument("--pictures", type=int, default=60, metavar="N", help="at most (default: 60)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of ONNX Runtime (default: 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    args = parser.parse_args(argv)
    check_outputs([("--json", args.json)], label_inputs("DATA", args.data))
    known = [
        (one, one.plates[0].corners)
        for one in load_labels(args.data).scenes
        if one.plates and len(one.plates) == 1 and one.plates[0].corners is not None
    ]
    step = max(1, len(known) // args.pictures)
    chosen = known[::step][: args.pictures]
    found: dict[int, list[float]] = {width: [] for width in args.widths}
    took: list[float] = []
    with PlateReader(threads=args.threads, precision="fp32") as reader:
        for sample, corners in chosen:
            image = sample.read()
            for width in args.widths:
                if (made := shrunk(image, corners, width)) is None:
                    continue
                began = time.process_time()
                shared = blurred(made[0], reader)
                took.append(time.process_time() - began)
                found[width].append(covered(made[0], shared, made[1]))
    rows = [["plate", "pictures", "covered"]]
    figures = {}
    for width, shares in found.items():
        good = sum(share >= _COVERED for share in shares)
        figures[width] = {"pictures": len(shares), "covered": good}
        rows.append([f"{width} px", str(len(shares)), f"{good / max(1, len(shares)):.1%}"])
    say(f"{counted(len(chosen), 'pictures')}, {sum(took) / max(1, len(took)):.1f} s of a CPU each")
    show(table(rows))
    if args.json:
        write_json(args.json, {"machine": machine(), "widths": figures, "seconds": round(sum(took), 1)})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
