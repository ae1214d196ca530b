"""The rows of label files: ``plates.csv``, and PP-OCR's of both kinds, PPOCRLabel's among them.

A row names an image and gives its plates, or is a `RejectedLabelError`: a label that cannot be used, and why.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from edge_lpr.datasets.label_text import UNCOUNTED, LabelledPlate, clean_text, is_uncounted
from edge_lpr.errors import InputError, shown
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.plain_data import parse_json
from edge_lpr.io.walk import unreadable
from edge_lpr.types import Quad

__all__ = ["CROPS", "RejectedLabelError", "Row", "UnreadImageError", "find_image", "read_rows"]

MAX_LABEL_BYTES = 512 << 20
# Folders whose name begins so hold plates cut out.
CROPS = "crops"

# An image's name, its plates, and whether it is one plate cut out.
Row = tuple[str, list[LabelledPlate], bool]


class RejectedLabelError(Exception):
    """A label that is skipped; its text is the reason."""


class UnreadImageError(RejectedLabelError):
    """A label in order, whose image is not there or closed to this user."""


def read_rows(file: Path) -> Iterator[tuple[int, Row | RejectedLabelError]]:
    """Reads a label file: CSV by its suffix, else PP-OCR's lines.

    Args:
        file: The file, in UTF-8.

    Yields:
        The line's number, from 1, and what stands there; the names of images are as written.

    Raises:
        InputError: It cannot be read, is too large, or not UTF-8.
    """
    data = read_bounded(file, MAX_LABEL_BYTES, "a label file", InputError)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise InputError(f"{file}: not a UTF-8 text (byte {e.start}); expected a label file") from e
    yield from _csv_rows(text) if file.suffix.lower() == ".csv" else _ppocr_rows(text)


def find_image(root: Path, written: str, *, any_folder: bool, place: str = "beside the label file") -> str:
    """Finds the image that a label names.

    Args:
        root: The label file's folder, resolved.
        written: The name as it is written.
        any_folder: Whether the folder that it begins with may be what this one was called before.
        place: Where `root` is, in messages.

    Returns:
        The image's path below `root`.

    Raises:
        RejectedLabelError: It lies elsewhere.
        UnreadImageError: There is no such image, or this user may not read it.
    """
    names: list[str] = []
    for name in dict.fromkeys((written, written.replace("\\", "/"))):
        first, *parts = PurePosixPath(name).parts or ("",)
        names.append(name)
        # PPOCRLabel names an image by its folder, which is the label file's own.
        if parts and (first == root.name or (any_folder and len(parts) == 1)):
            names.append("/".join(parts))
    try:
        name = next((n for n in names if (root / n).exists()), names[0])
        path = Path(os.path.realpath(root / name))
        if not path.is_relative_to(root):
            raise RejectedLabelError(f"the image {shown(written)} is outside of the label file's folder")
        if not stat.S_ISREG(path.stat().st_mode):
            raise RejectedLabelError(f"{shown(written)} {place} is no file")
    except (FileNotFoundError, NotADirectoryError) as e:
        raise UnreadImageError(f"no image {shown(written)} {place}") from e
    except PermissionError as e:
        raise UnreadImageError(unreadable(written, e)) from e
    except (OSError, ValueError) as e:
        raise RejectedLabelError(f"the image's name {shown(written)} cannot be a file's name") from e
    return name


def _csv_rows(text: str) -> Iterator[tuple[int, Row | RejectedLabelError]]:
    # Python 3.10's csv gives the whole file up at a NUL; no file name holds one.
    reader = csv.DictReader(io.StringIO(text.replace("\0", "\ufffd"), newline=""))
    wanted = ("file", "label", "corners_tl_tr_br_bl")
    try:
        missing = [c for c in wanted if c not in (reader.fieldnames or ())]
        if missing:
            yield 1, RejectedLabelError(f"no column {missing[0]!r}, expected {', '.join(wanted)}")
            return
        for row in reader:
            yield reader.line_num, _csv_row(row)
    except csv.Error as e:
        yield reader.line_num, RejectedLabelError(f"not valid CSV ({e})")


def _csv_row(row: dict[str, str | None]) -> Row | RejectedLabelError:
    name, label, corners = (row.get(c) or "" for c in ("file", "label", "corners_tl_tr_br_bl"))
    if not name:
        return RejectedLabelError("no file name in the row")
    folders = PurePosixPath(name.replace("\\", "/")).parts[:-1]
    crop = any(folder.startswith(CROPS) for folder in folders)
    try:
        quad = _quad([point.split(",") for point in corners.split()]) if corners.strip() else None
    except RejectedLabelError as e:
        return e
    text = _text(label)
    if not text:
        return (
            (name, [], crop)
            if quad is None
            else RejectedLabelError(f"{shown(name)} has corners and no label")
        )
    return name, [LabelledPlate(text, quad)], crop


def _ppocr_rows(text: str) -> Iterator[tuple[int, Row | RejectedLabelError]]:
    # Not splitlines(): that would also split at separators that stand in a text, such as U+2028.
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        if not line.strip():
            continue
        name, tab, rest = line.partition("\t")
        if not tab:
            yield number, RejectedLabelError("no tab in the line, expected 'image<TAB>label'")
        elif rest.lstrip().startswith("["):
            yield number, _ppocr_scene(name, rest)
        elif plate := _text(rest):
            yield number, (name, [LabelledPlate(plate, None)], True)
        else:
            yield number, RejectedLabelError(f"{shown(name)} has an empty label")


def _ppocr_scene(name: str, rest: str) -> Row | RejectedLabelError:
    try:
        entries = parse_json(rest, f"{shown(name)}: the label", RejectedLabelError)
    except RejectedLabelError as e:
        return e
    plates = []
    for entry in entries:
        text = entry.get("transcription") if isinstance(entry, dict) else None
        if not isinstance(text, str):
            return RejectedLabelError(f"{shown(name)}: a label without a text in 'transcription'")
        # JSON's true and 1 are equal here.
        text = UNCOUNTED if entry.get("difficult") in (True, "true", "True") else _text(text)
        try:
            corners = _region(entry.get("points")) if text == UNCOUNTED else _quad(entry.get("points"))
        except RejectedLabelError as e:
            return e
        plates.append(LabelledPlate(text, corners))
    return name, plates, False


def _text(label: str) -> str:
    return UNCOUNTED if is_uncounted(label) else clean_text(label)


def _region(points: object) -> Quad:
    """Reads a region that does not count, which may be any polygon, as the rectangle around it."""
    corners = _points(points)
    if len(corners) > 4:
        return _with_area(np.asarray(cv2.boxPoints(cv2.minAreaRect(corners)), np.float32), points)
    return _quad(points)


def _quad(points: object) -> Quad:
    corners = _points(points)
    if len(corners) != 4:
        raise RejectedLabelError(
            f"corners are {shown(points)}, expected four points, top-left first and clockwise"
        )
    return _with_area(corners, points)


def _points(points: object) -> Quad:
    """Reads points, float32 N×2; none where they are no numbers."""
    try:
        # Strings of numbers come from the CSV, numbers from JSON.
        found = [[float(x), float(y)] for x, y in points]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        found = []
    if not all(math.isfinite(v) and abs(v) < 1e6 for point in found for v in point):
        found = []
    return np.array(found, np.float32).reshape(-1, 2)


def _with_area(corners: Quad, points: object) -> Quad:
    if cv2.contourArea(corners) < 1:
        raise RejectedLabelError(f"corners are {shown(points)}: they enclose no area")
    return corners
