"""Recognizers of several bundles side by side, on plates as they are and made worse.

    python -m edge_lpr.benchmarks.recognizers ../shared/data --bundle v3/ --bundle v4/

Of the plates that the recipe of record holds out (every fourth), each is cut out along its corners and read
as it is, and slanted, turned, shrunk, smeared, dark and compressed: where two recognizers read all but a few
plates, only such say which one is better. The bundles take turns crop by crop, so that what else the machine
does meets them alike; time is that of the processor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import cv2
import numpy as np

from edge_lpr.benchmarks.pairs import ratio
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say, show
from edge_lpr.console.tables import table
from edge_lpr.counting import counted
from edge_lpr.datasets.labels import Sample, label_inputs, load_labels
from edge_lpr.environment import machine
from edge_lpr.errors import InputError
from edge_lpr.finetune.division import split
from edge_lpr.finetune.stages import load_recipe
from edge_lpr.geometry import crop_quad, whole
from edge_lpr.io.atomic_io import write_json
from edge_lpr.io.claims import check_outputs, files_in
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.types import Image, Quad

Cut = Callable[[Image, Quad], Image]


class Plate(NamedTuple):
    """A plate of a labelled image."""

    image: Image
    quad: Quad
    text: str


def sheared(quad: Quad, shear: float, climb: float) -> Quad:
    """Returns the corners of a crop in which the plate is slanted and what leans out of it is cut off.

    The crop is as large as the plate, as where a detector's corners are off; `render.view.slanted`, for
    training, makes it as large as the slanted plate.

    Args:
        quad: float32 4×2 corners of the plate, tl-tr-br-bl.
        shear: By how many heights the upper side is pushed along.
        climb: By how many widths the right side is pushed down.
    """
    along, down = quad[1] - quad[0], quad[3] - quad[0]
    pushed = quad.astype(np.float64)
    pushed[:2] += shear * np.linalg.norm(down) * along / max(float(np.linalg.norm(along)), 1e-6)
    pushed[1:3] += climb * np.linalg.norm(along) * down / max(float(np.linalg.norm(down)), 1e-6)
    return np.asarray(pushed, np.float32)


def shrunk(crop: Image, height: int) -> Image:
    """Returns a crop, uint8 h×w×3, so many pixels high; itself where it is no higher."""
    factor = height / crop.shape[0]
    if factor >= 1:
        return crop
    size = max(1, round(crop.shape[1] * factor)), height
    return np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)


def smeared(crop: Image) -> Image:
    """Returns a crop, uint8 h×w×3, as a vehicle that moves by a twentieth of its plate's width shows it."""
    length = max(2, round(0.05 * crop.shape[1]))
    return np.asarray(cv2.blur(crop, (length, 1)), np.uint8)


def dark(crop: Image) -> Image:
    """Returns a crop, uint8 h×w×3, at a tenth of the light, with the noise of a sensor."""
    noise = np.random.default_rng(crop.shape[1]).normal(0, 3, crop.shape)
    return np.clip(crop * 0.12 + noise, 0, 255).astype(np.uint8)


def compressed(crop: Image) -> Image:
    """Returns a crop, uint8 h×w×3, as JPEG of quality 15 leaves it."""
    data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 15])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


VIEWS: Mapping[str, Cut] = {
    "as it is": crop_quad,
    "slanted left": lambda image, quad: crop_quad(image, sheared(quad, -0.4, 0)),
    "slanted right": lambda image, quad: crop_quad(image, sheared(quad, 0.4, 0)),
    "climbing": lambda image, quad: crop_quad(image, sheared(quad, 0, -0.15)),
    "falling": lambda image, quad: crop_quad(image, sheared(quad, 0, 0.15)),
    "16 px high": lambda image, quad: shrunk(crop_quad(image, quad), 16),
    "12 px high": lambda image, quad: shrunk(crop_quad(image, quad), 12),
    "smeared": lambda image, quad: smeared(crop_quad(image, quad)),
    "dark": lambda image, quad: dark(crop_quad(image, quad)),
    "compressed": lambda image, quad: compressed(crop_quad(image, quad)),
}
"""How plates are shown."""


def held_out_plates(samples: Sequence[Sample]) -> list[Plate]:
    """Returns the plates of the quarter that the recipe of record holds out.

    Args:
        samples: All samples, in the order of their label files.
    """
    usable = [s for s in samples if s.plates and (s.located or s.crop)]
    plates = []
    for sample in split(usable, load_recipe()["held_out"])[1]:
        image = sample.read()
        for plate in sample.plates or ():
            if not plate.ignored and (plate.corners is not None or sample.crop):
                corners = whole(image) if plate.corners is None else plate.corners
                plates.append(Plate(image, np.asarray(corners, np.float32), plate.text))
    return plates


def measure(
    readers: Mapping[str, PlateReader], plates: Sequence[Plate], views: Mapping[str, Cut] = VIEWS
) -> tuple[dict[str, dict[str, int]], dict[str, list[float]]]:
    """Reads each plate in each view with each reader, one after the other.

    Returns:
        How many were read as labelled, by view and reader; and the processor's milliseconds of each crop, in
        the same order, by reader.
    """
    right = {view: dict.fromkeys(readers, 0) for view in views}
    spent: dict[str, list[float]] = {name: [] for name in readers}
    for plate in plates:
        for view, cut in views.items():
            crop = cut(plate.image, plate.quad)
            for name, reader in readers.items():
                begun = time.process_time()
                (read,) = reader.read_crops([crop])
                spent[name].append(1000 * (time.process_time() - begun))
                right[view][name] += read is not None and read.text == plate.text
    return right, spent


@module_main("benchmarks.recognizers")
def main(argv: Sequence[str] | None = None) -> int:
    """Prints both tables."""
    parser = Parser(prog="python -m edge_lpr.benchmarks.recognizers", description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help="labelled images")
    parser.add_argument(
        "--bundle",
        type=Path,
        action="append",
        metavar="DIR",
        help="a bundle; once for each (default: the package's)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="plates, at most (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    args = parser.parse_args(argv)
    bundles: list[Path | None] = args.bundle or [None]
    inputs = [named for bundle in bundles for named in files_in("--bundle", bundle)]
    check_outputs([("--json", args.json)], [*label_inputs("DATA", args.data), *inputs])
    plates = held_out_plates(load_labels(args.data).samples)[: args.limit]
    if not plates:
        raise InputError("no plate is held out: the data need four labelled plates or more")
    readers: dict[str, PlateReader] = {}
    try:
        for bundle in bundles:
            reader = PlateReader(bundle, threads=1)
            name = reader.bundle.name if reader.bundle.name not in readers else str(bundle)
            readers[name] = reader
        right, spent = measure(readers, plates)
    finally:
        for reader in readers.values():
            reader.close()
    first = next(iter(readers))
    rows = [[view, *(str(counts[name]) for name in readers)] for view, counts in right.items()]
    totals = {name: sum(counts[name] for counts in right.values()) for name in readers}
    shown = len(plates) * len(VIEWS)
    rows.append(["all", *(f"{totals[name]} of {shown}" for name in readers)])
    ratios = {name: ratio(spent[name], spent[first]) for name in readers}
    rows.append(["ms a crop", *(f"{median(spent[name]):.1f}" for name in readers)])
    rows.append([f"beside {first}", *(f"{ratios[name]:.2f}" for name in readers)])
    say(f"{counted(len(plates), 'plates')} held out, read as labelled; one thread")
    show(table([["", *readers], *rows]))
    if args.json:
        result = {"machine": machine(), "plates": len(plates), "right": right, "ratios": ratios}
        ms = {name: median(times) for name, times in spent.items()}
        write_json(args.json, {**result, "ms": ms})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
