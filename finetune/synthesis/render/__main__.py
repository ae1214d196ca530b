"""Rates of rendered training images, and contact sheets to look at.

python -m edge_lpr.finetune.synthesis.render --bench
python -m edge_lpr.finetune.synthesis.render --sheet crops.png --what crops
python -m edge_lpr.finetune.synthesis.render --sheet scenes.png --what scenes --seed 3
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say
from edge_lpr.errors import SettingError
from edge_lpr.finetune.synthesis.contact_sheet import rates, sheet_file
from edge_lpr.finetune.synthesis.render.plate import render_plate
from edge_lpr.finetune.synthesis.render.streams import crops, scenes
from edge_lpr.finetune.synthesis.render.text import PlateMix, sample_plate
from edge_lpr.io.image_io import write_image
from edge_lpr.types import Image


def bench(seconds: float = 5.0) -> dict[str, float]:
    """Measures images per second of one core's time, which other programs' load does not change."""
    plates, streets = crops(0), scenes(0)
    return rates({"crops": lambda _: next(plates), "scenes 640x640": lambda _: next(streets)}, seconds)


def _fit(image: Image, width: int, height: int) -> Image:
    factor = min(width / image.shape[1], height / image.shape[0])
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    cell = np.zeros((height, width, 3), np.uint8)
    cell[: size[1], : size[0]] = cv2.resize(
        image, size, interpolation=cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
    )
    return cell


def sheet(what: str, seed: int) -> Image:
    """Draws a contact sheet of plates, crops or scenes."""
    rng = np.random.default_rng(seed)
    if what == "plates":
        mix = PlateMix(two_rows=0.3)
        cells = [_fit(render_plate(sample_plate(rng, mix), rng, 110), 378, 110) for _ in range(40)]
        columns = 4
    elif what == "crops":
        stream = crops(seed)
        cells = [np.asarray(cv2.resize(next(stream)[0], (188, 48)), np.uint8) for _ in range(120)]
        columns = 8
    else:
        cells, columns = [], 4
        source = scenes(seed)
        for _ in range(12):
            image, plates = next(source)
            for quad, _ in plates:
                cv2.polylines(image, [np.round(quad).astype(np.int32)], True, (60, 255, 60), 1, cv2.LINE_AA)
            cells.append(_fit(image, 420, 420))
    rows = [np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    return np.asarray(np.vstack(rows), np.uint8)


@module_main("render")
def main(argv: Sequence[str] | None = None) -> int:
    """Prints rates or writes a contact sheet."""
    parser = Parser(prog="python -m edge_lpr.finetune.synthesis.render", description=__doc__)
    parser.add_argument("--bench", action="store_true", help="print images per second on one core")
    parser.add_argument(
        "--sheet", type=sheet_file, metavar="FILE", help="write a contact sheet, .png or .jpg"
    )
    parser.add_argument("--what", choices=("plates", "crops", "scenes"), default="crops")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if not (args.bench or args.sheet):
        raise SettingError("nothing to do: give --bench, --sheet FILE, or both")
    if args.bench:
        for name, rate in bench().items():
            say(f"{name}: {rate:.0f} per second on one core")
    if args.sheet:
        write_image(args.sheet, sheet(args.what, args.seed))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
