"""Contact sheets and rates of PP-OCRv3's augmentations, on labelled images.

python -m edge_lpr.finetune.synthesis.augment ../shared/data --bench
python -m edge_lpr.finetune.synthesis.augment ../shared/data/ccpd --sheet scenes.png --what scenes
python -m edge_lpr.finetune.synthesis.augment ../shared/data --sheet crops.png --what crops --seed 3
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say
from edge_lpr.datasets.labels import Sample, label_inputs, load_labels
from edge_lpr.errors import InputError, SettingError
from edge_lpr.finetune.synthesis.contact_sheet import rates, sheet_file
from edge_lpr.finetune.synthesis.det_augment import augment_scene
from edge_lpr.finetune.synthesis.rec_augment import RecAug, bring_to_height
from edge_lpr.finetune.synthesis.training_images import Photos
from edge_lpr.geometry import crop_quad
from edge_lpr.io.claims import check_outputs
from edge_lpr.io.image_io import write_image
from edge_lpr.types import Image, Rng

SCENE = (416, 416)
CELL = (188, 48)


def lines(samples: Sequence[Sample], rng: Rng) -> Iterator[tuple[Image, Image]]:
    """Labelled plates without end: as they are at 48 pixels' height, and augmented.

    Raises:
        InputError: There is no plate that can be cut out.
    """
    plates = [(s, p.corners) for s in samples for p in s.plates or () if s.crop or p.corners is not None]
    if not plates:
        raise InputError("no labelled plate in it that can be cut out")
    augment = RecAug()
    while True:
        sample, corners = plates[int(rng.integers(len(plates)))]
        image = sample.read()
        line = bring_to_height(image if corners is None else crop_quad(image, corners), 48)
        yield line, augment(line, rng)


def scenes(samples: Sequence[Sample], rng: Rng) -> Iterator[Image]:
    """Labelled scenes without end, augmented, with the outlines of their texts drawn on them.

    Raises:
        InputError: There is no scene whose plates have corners.
    """
    photos = Photos(samples)
    if not len(photos):
        raise InputError("no labelled scene in it whose plates have corners")
    while True:
        photo = photos.draw(rng)
        image, quads, _ = augment_scene(photo.image, photo.quads, [False] * len(photo.quads), rng, SCENE)
        for quad in quads:
            cv2.polylines(image, [np.round(quad).astype(np.int32)], True, (60, 255, 60), 1, cv2.LINE_AA)
            # The plate's upper left corner: mirrored plates keep the order of their corners.
            cv2.circle(image, tuple(int(v) for v in np.round(quad[0])), 4, (60, 60, 255), 2)
        yield image


def sheet(samples: Sequence[Sample], what: str, seed: int) -> Image:
    """A contact sheet: augmented scenes, or lines with their original to the left of three variants."""
    rng = np.random.default_rng(seed)
    if what == "scenes":
        stream = scenes(samples, rng)
        cells = [next(stream) for _ in range(12)]
        columns = 4
    else:
        augment, columns, cells = RecAug(), 8, []
        for line, first in (pair for pair, _ in zip(lines(samples, rng), range(32), strict=False)):
            shown = (line, first, augment(line, rng), augment(line, rng))
            cells += [np.asarray(cv2.resize(image, CELL), np.uint8) for image in shown]
    rows = [np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    return np.asarray(np.vstack(rows), np.uint8)


def bench(samples: Sequence[Sample], seconds: float = 4.0) -> dict[str, float]:
    """Images per second of one core's time, without decoding; OpenCV's threads off."""
    rng = np.random.default_rng(0)
    kept = [line for (line, _), _ in zip(lines(samples, rng), range(64), strict=False)]
    photos = Photos(samples)
    drawn = [photos.draw(rng) for _ in range(16)] if len(photos) else []
    augment = RecAug()
    work: dict[str, Callable[[int], object]] = {
        "lines of 48 pixels": lambda i: augment(kept[i % len(kept)], rng)
    }
    if drawn:
        work[f"scenes {SCENE[0]}x{SCENE[1]}"] = lambda i: augment_scene(
            drawn[i % 16].image, drawn[i % 16].quads, [False] * len(drawn[i % 16].quads), rng, SCENE
        )
    return rates(work, seconds)


@module_main("augment")
def main(argv: Sequence[str] | None = None) -> int:
    """Prints rates or writes a contact sheet."""
    parser = Parser(prog="python -m edge_lpr.finetune.synthesis.augment", description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", help="labelled images, as `edge-lpr finetune --ccpd`")
    parser.add_argument("--bench", action="store_true", help="print images per second on one core")
    parser.add_argument(
        "--sheet", type=sheet_file, metavar="FILE", help="write a contact sheet, .png or .jpg"
    )
    parser.add_argument("--what", choices=("crops", "scenes"), default="crops")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    check_outputs([("--sheet", args.sheet)], label_inputs("DATA", args.data))
    samples = load_labels(args.data).samples
    if not (args.bench or args.sheet):
        raise SettingError("nothing to do: give --bench, --sheet FILE, or both")
    if args.bench:
        for name, rate in bench(samples).items():
            say(f"{name}: {rate:.0f} per second on one core")
    if args.sheet:
        write_image(args.sheet, sheet(samples, args.what, args.seed))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
