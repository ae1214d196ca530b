"""How large and small plates may be, and what the second looks at a picture cost.

    python -m edge_lpr.benchmarks.scales ../shared/data --limit 60

Each labelled scene is shown anew: shrunk until its plate is so many pixels wide, and cut until its plate is
such a share of the picture's width. Then pictures without a plate are read with the second looks and without,
one after the other, which is what they cost where they find nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from edge_lpr.backends import AUTO
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say, show
from edge_lpr.console.tables import table
from edge_lpr.counting import counted
from edge_lpr.datasets.labels import Sample, label_inputs, load_labels
from edge_lpr.environment import machine
from edge_lpr.io.atomic_io import write_json
from edge_lpr.io.claims import check_outputs
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.precisions import PRECISIONS
from edge_lpr.types import Image, Quad

WIDTHS = (32, 48, 64, 96, 160)
SHARES = (0.25, 0.33, 0.5, 0.75, 0.95)
_CUT_WIDTH = 1000
"""Pixels of a cut picture's width, at most: it is not enlarged beyond what the scene holds."""


def shrunk(image: Image, quad: Quad, width: int) -> Image | None:
    """Returns a scene in which the plate is so many pixels wide; None where it is not as wide."""
    factor = width / float(np.ptp(quad[:, 0]))
    if factor > 1:
        return None
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def cut(image: Image, quad: Quad, share: float) -> Image | None:
    """Cuts a scene until the plate is such a share of its width; None where it is more already."""
    height, width = image.shape[:2]
    wide = float(np.ptp(quad[:, 0])) / share
    if wide > width:
        return None
    # A flat plate in a narrow cut still has its whole height.
    high = min(height, max(wide * height / width, 1.4 * float(np.ptp(quad[:, 1]))))
    x, y = quad.mean(axis=0) - (wide / 2, high / 2)
    left, top = (int(np.clip(v, 0, room)) for v, room in ((x, width - wide), (y, height - high)))
    part = image[top : top + round(high), left : left + round(wide)]
    factor = min(3.0, _CUT_WIDTH / part.shape[1])
    return np.asarray(cv2.resize(part, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), np.uint8)


def measure(reader: PlateReader, samples: Sequence[Sample]) -> dict[str, list[int]]:
    """Reads each scene at all sizes; gives, by size, how many were read right and how many there are."""
    found: dict[str, list[int]] = {
        **{f"{w} px wide": [0, 0] for w in WIDTHS},
        **{f"{s:.0%} of the width": [0, 0] for s in SHARES},
    }
    for sample in samples:
        (plate,) = (p for p in sample.plates or () if not p.ignored)
        assert plate.corners is not None
        image = sample.read()
        views = {f"{w} px wide": shrunk(image, plate.corners, w) for w in WIDTHS}
        views |= {f"{s:.0%} of the width": cut(image, plate.corners, s) for s in SHARES}
        for name, view in views.items():
            if view is not None:
                found[name][0] += plate.text in {read.text for read in reader.read(view)}
                found[name][1] += 1
    return found


def cost(readers: Sequence[PlateReader], images: Sequence[Image]) -> list[float]:
    """Returns the milliseconds of CPU time an image of each reader, which take turns over the images."""
    spent = [0.0] * len(readers)
    for image in images:
        for i, reader in enumerate(readers):
            start = time.process_time()
            reader.read(image)
            spent[i] += time.process_time() - start
    return [1000 * seconds / max(1, len(images)) for seconds in spent]


@module_main("benchmarks.scales")
def main(argv: Sequence[str] | None = None) -> int:
    """Prints both tables."""
    parser = Parser(prog="python -m edge_lpr.benchmarks.scales", description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help="labelled images")
    parser.add_argument("--limit", type=int, default=60, metavar="N", help="scenes, at most (default: 60)")
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="model bundle (default: the package's)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of ONNX Runtime (default: 2)")
    parser.add_argument(
        "--precision", choices=(AUTO, *PRECISIONS.names()), default=AUTO, help="of the models (default: auto)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    args = parser.parse_args(argv)
    check_outputs([("--json", args.json)], label_inputs("DATA", args.data))
    samples = load_labels(args.data).samples
    scenes = [s for s in samples if s.located and len([p for p in s.plates or () if not p.ignored]) == 1]
    drawn = np.random.default_rng(0).permutation(len(scenes))[: args.limit]
    empty = [s.read() for s in samples if not s.crop and s.plates is not None and not s.plates]
    without = {"rescan_side": 0, "rotate": "0"}
    opened = partial(PlateReader, args.bundle, threads=args.threads, precision=args.precision)
    with opened() as reader, opened(settings={"rotate": "0"}) as upright, opened(settings=without) as once:
        found = measure(reader, [scenes[i] for i in drawn])
        spent = cost((once, upright, reader), empty)
    rows = [[name, f"{right / max(1, n):.3f}", str(right), str(n)] for name, (right, n) in found.items()]
    show(table([["the plate is", "read right", "", "of"], *rows]))
    looks = ("one look", "and at two smaller sizes", "and on both sides")
    say(f"{counted(len(empty), 'pictures')} without a plate, CPU-ms each:")
    show(table([list(looks), [f"{ms:.0f}" for ms in spent]]))
    if args.json:
        result = {"machine": machine(), "read": found, "ms": dict(zip(looks, spent, strict=True))}
        write_json(args.json, {**result, "images": len(empty), "reader": reader.description})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
