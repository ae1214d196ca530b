"""The glyphs that ship: small font subsets cut from free fonts, and atlases rasterised from the subsets.

Two atlases are made. `edge_lpr/assets/` holds the one that `edge_lpr.io.drawing` writes labels with, so that
the runtime shows Chinese characters with OpenCV alone. `finetune/assets/` holds thin glyphs, close to a
skeleton: the plate renderer stretches them to the plate's character cell and thickens them there, which
keeps the stroke constant as on a stamped plate; a bold font squeezed to the cell would get thin uprights.

    python -m edge_lpr.finetune.synthesis.glyphs subset --noto-thin … --noto-medium … --latin NAME=….woff2
    python -m edge_lpr.finetune.synthesis.glyphs atlas

`subset` needs the original fonts and is run once; `atlas` needs only what is committed. Subsets bear names of
their own, as the Open Font License asks of modified versions of a font with reserved names.
"""

from __future__ import annotations

import io
import json
import string
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fontTools import subset as ft_subset
from fontTools.ttLib import TTFont, TTLibError
from PIL import Image, ImageDraw, ImageFont

from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.errors import InputError, SettingError
from edge_lpr.io import drawing
from edge_lpr.io.atomic_io import write_bytes
from edge_lpr.io.claims import check_outputs, files_in
from edge_lpr.plates.characters import DOT, PROVINCES
from edge_lpr.plates.charset import SUFFIXES
from edge_lpr.types import Mask

HANZI = PROVINCES + SUFFIXES
ALNUM = string.ascii_uppercase + string.digits
LABEL_TEXT = "".join(chr(c) for c in range(32, 127)) + DOT + "：，" + HANZI

DRAW_ASSETS = Path(drawing.__file__).parents[1] / "assets"
PLATE_ASSETS = Path(__file__).parents[1] / "assets"
SHEET_WIDTH = 1024
SHEET_GAP = 2


def cut_subset(source: Path, text: str, out: Path, family: str, face: str | None = None) -> None:
    """Writes the part of a font that `text` needs, under a family name of its own.

    Args:
        source: A TrueType or OpenType font, a collection, or a WOFF.
        text: Characters to keep.
        out: Where the subset goes, .otf or .ttf.
        family: Family name of the subset; must not hold a reserved name of the original.
        face: In a collection, the full name of the face to take ("Noto Sans CJK SC").

    Raises:
        InputError: The source cannot be read as a font, or has no such face.
        OutputError: The subset cannot be written.
    """
    font = _open_face(source, face)
    options = ft_subset.Options(hinting=False, layout_features=[], notdef_outline=True, glyph_names=False)
    options.name_IDs = [0, 13, 14]
    subsetter = ft_subset.Subsetter(options)
    subsetter.populate(text=text)
    subsetter.subset(font)
    font.flavor = None
    names = {1: family, 2: "Regular", 3: f"{family} 1", 4: family, 6: family.replace(" ", "")}
    for name_id, value in names.items():
        font["name"].setName(value, name_id, 3, 1, 0x409)
    if "CFF " in font:
        table = font["CFF "].cff
        table.fontNames = [names[6]]
        top = table.topDictIndex[0]
        for key, value in (("FullName", family), ("FamilyName", family)):
            if hasattr(top, key):
                setattr(top, key, value)
    buffer = io.BytesIO()
    font.save(buffer)
    write_bytes(out, buffer.getvalue())


def _open_face(source: Path, face: str | None) -> TTFont:
    try:
        if source.suffix.lower() != ".ttc":
            return TTFont(str(source))
        number = 0
        while True:
            font = TTFont(str(source), fontNumber=number)
            if face is None or font["name"].getDebugName(4).startswith(face):
                return font
            number += 1
    except (OSError, TTLibError) as e:
        wanted = "" if face is None else f" with the face {face!r}"
        raise InputError(f"{source}: cannot be read as a font{wanted} ({e})") from e


def rasterise(font: Path, char: str, size: int) -> Mask:
    """Draws one character and crops it to its ink: uint8 H×W coverage."""
    face = ImageFont.truetype(str(font), size)
    image = Image.new("L", (2 * size, 2 * size))
    ImageDraw.Draw(image).text((size // 2, size * 3 // 2), char, font=face, fill=255, anchor="ls")
    x, y, width, height = cv2.boundingRect(np.asarray(image, np.uint8))
    return np.asarray(image, np.uint8)[y : y + height, x : x + width]


def label_atlas(font: Path, size: int = 40) -> tuple[Mask, dict[str, object]]:
    """The atlas that `edge_lpr.io.drawing` reads: line-height cells, each as wide as the character's advance.

    Returns:
        uint8 H×W greyscale sheet, and the metrics: `height` of a line in pixels and per character its x, y
        and width in the sheet.
    """
    face = ImageFont.truetype(str(font), size)
    # Line box of the ideographs, not of the font: Noto's own line is half again as high as its glyphs.
    ascent, height = round(size * 0.92), round(size * 1.2)
    cells: dict[str, Mask] = {}
    for char in LABEL_TEXT:
        image = Image.new("L", (max(1, round(face.getlength(char))), height))
        ImageDraw.Draw(image).text((0, ascent), char, font=face, fill=255, anchor="ls")
        cells[char] = np.asarray(image, np.uint8)
    box = np.zeros((height, size), np.uint8)
    cv2.rectangle(box, (size // 10, round(size * 0.15)), (size - size // 10 - 1, round(size * 0.95)), 255, 2)
    cells[drawing.MISSING_GLYPH] = box
    sheet, places = pack(cells)
    return sheet, {"height": height, "glyphs": places}


def pack(cells: dict[str, Mask]) -> tuple[Mask, dict[str, list[int]]]:
    """Lays cells in rows of a sheet.

    Returns:
        The uint8 sheet and per key its [x, y, width, height].
    """
    places: dict[str, list[int]] = {}
    x = y = row = 0
    for key, cell in cells.items():
        height, width = cell.shape
        if x + width > SHEET_WIDTH:
            x, y, row = 0, y + row + SHEET_GAP, 0
        places[key] = [x, y, width, height]
        x, row = x + width + SHEET_GAP, max(row, height)
    sheet = np.zeros((y + row, SHEET_WIDTH), np.uint8)
    for key, (px, py, width, height) in places.items():
        sheet[py : py + height, px : px + width] = cells[key]
    return sheet, places


def plate_atlas(fonts: dict[str, Path], size: int = 96) -> tuple[Mask, dict[str, object]]:
    """The atlas that the plate renderer reads: thin glyphs, cropped to their ink, per font.

    Args:
        fonts: Font name to file. A font gives those of the plates' characters that it has.
        size: Font size in pixels.

    Returns:
        uint8 H×W greyscale sheet, and the metrics: per font its characters with x, y, width and height.
    """
    cells: dict[str, Mask] = {}
    for name, path in fonts.items():
        known = TTFont(str(path)).getBestCmap()
        for char in ALNUM + HANZI:
            if ord(char) in known:
                cells[f"{name}/{char}"] = rasterise(path, char, size)
    sheet, places = pack(cells)
    table: dict[str, dict[str, list[int]]] = {name: {} for name in fonts}
    for key, place in places.items():
        name, char = key.split("/")
        table[name][char] = place
    return sheet, {"size": size, "fonts": table}


def write_atlas(folder: Path, sheet: Mask, metrics: Mapping[str, Any]) -> None:
    """Writes `glyphs.png` and `glyphs.json` into a folder.

    Raises:
        OutputError: One of them cannot be written.
    """
    _, data = cv2.imencode(".png", sheet, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    write_bytes(folder / "glyphs.png", data.tobytes())
    text = json.dumps(metrics, ensure_ascii=False, separators=(",", ":"))
    write_bytes(folder / "glyphs.json", (text + "\n").encode())


def _named(item: str) -> tuple[str, Path]:
    name, _, file = item.partition("=")
    if not name or not file:
        raise SettingError(f"--latin {item}: expected NAME=FILE")
    return name, Path(file)


@module_main("glyphs")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `subset` or `atlas`."""
    parser = Parser(prog="python -m edge_lpr.finetune.synthesis.glyphs", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    cut = commands.add_parser("subset", help="cut the subsets from the original fonts")
    cut.add_argument("--noto-thin", type=Path, required=True, help="NotoSansCJK-Thin.ttc")
    cut.add_argument("--noto-medium", type=Path, required=True, help="NotoSansCJK-Medium.ttc")
    cut.add_argument("--latin", action="append", default=[], metavar="NAME=FILE", help="a thin Latin font")
    commands.add_parser("atlas", help="rasterise the committed subsets")
    args = parser.parse_args(argv)
    if args.command == "subset":
        latin = dict(_named(item) for item in args.latin)
        given = [args.noto_medium, args.noto_thin, *latin.values()]
        written = chain(files_in("the fonts", DRAW_ASSETS), files_in("the fonts", PLATE_ASSETS))
        check_outputs(written, (("--noto or --latin", font) for font in given))
        cut_subset(
            args.noto_medium, LABEL_TEXT, DRAW_ASSETS / "labels.otf", "Edge LPR Labels", "Noto Sans CJK SC"
        )
        cut_subset(args.noto_thin, HANZI, PLATE_ASSETS / "hei-thin.otf", "Edge LPR Hei", "Noto Sans CJK SC")
        for name, file in latin.items():
            family = f"Edge LPR {name.replace('-', ' ').title()}"
            cut_subset(file, ALNUM, PLATE_ASSETS / f"{name}-thin.ttf", family)
        return 0
    write_atlas(DRAW_ASSETS, *label_atlas(DRAW_ASSETS / "labels.otf"))
    fonts = {p.stem.removesuffix("-thin"): p for p in sorted(PLATE_ASSETS.glob("*-thin.?tf"))}
    write_atlas(PLATE_ASSETS, *plate_atlas(fonts))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
