"""CCPD file names: an image's whole label stands in its name.

CCPD (Xu et al., "Towards End-to-End License Plate Detection and Recognition: A Large Dataset and Baseline",
ECCV 2018; the file-name format is described in the README of github.com/detectRecog/CCPD) names an image by
seven fields joined by "-"::

    025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-0_0_22_27_27_33_16-37-15.jpg
    area tilt   box             corners                         characters         brightness blur

CCPD2019 holds blue plates (7 characters), CCPD2020 ("green") new-energy plates (8 characters).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from edge_lpr.counting import counted
from edge_lpr.errors import CcpdNameError
from edge_lpr.geometry import is_clockwise_convex
from edge_lpr.types import Quad

# The dataset's own tables; the "O" that ends each of them there means "no character" and is left out here.
PROVINCES = "皖沪津渝冀晋蒙辽吉黑苏浙京闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新警学"
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ"
ADS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"

FIELDS = ("area", "tilt", "box", "corners", "characters", "brightness", "blur")
# Images are 720x1160; a larger number than this is a damaged name, and would overflow nothing later.
_MAX_NAME = 255
MAX_COORDINATE = 100_000
_POINT = re.compile(r"(\d{1,6})&(\d{1,6})", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True, eq=False)
class CcpdLabel:
    """What a CCPD file name says.

    Attributes:
        text: The plate's 7 or 8 characters.
        corners: float32 4×2, top-left, top-right, bottom-right, bottom-left, in pixels.
        box: Left, top, right, bottom of the labelled bounding box, in pixels.
        area: Share of the image that the plate covers, 0 to 1.
        tilt: Horizontal and vertical tilt, in degrees as the dataset gives them (0 to 360).
        brightness: Brightness of the plate's region, 0 to 255.
        blur: Sharpness of the plate's region; the lower, the more blurred.
    """

    text: str
    corners: Quad
    box: tuple[int, int, int, int]
    area: float
    tilt: tuple[int, int]
    brightness: int
    blur: int


def parse_ccpd_name(stem: str) -> CcpdLabel:
    """Reads the label out of a CCPD file name.

    Args:
        stem: The file's name without folder and ".jpg".

    Raises:
        CcpdNameError: A field is missing or wrong; the message says which, and what was expected.
    """
    if len(stem) > _MAX_NAME:
        raise CcpdNameError(f"{len(stem)} characters, a file's name has at most {_MAX_NAME}")
    fields = stem.split("-")
    if len(fields) != len(FIELDS):
        raise CcpdNameError(
            f"{counted(len(fields), 'fields')} joined by '-', expected {len(FIELDS)}: {', '.join(FIELDS)}"
        )
    area, tilt, box, corners, characters, brightness, blur = fields
    quad = _corners(corners)
    rectangle = _box(box)
    left, top = quad.min(axis=0)
    right, bottom = quad.max(axis=0)
    if left > rectangle[2] or right < rectangle[0] or top > rectangle[3] or bottom < rectangle[1]:
        raise CcpdNameError(f"the corners {corners!r} lie outside of the box {box!r}")
    return CcpdLabel(
        text=_text(characters),
        corners=quad,
        box=rectangle,
        area=_area(area),
        tilt=_tilt(tilt),
        brightness=_whole("brightness", brightness, 255),
        blur=_whole("blur", blur, 999_999),
    )


def is_ccpd_name(stem: str) -> bool:
    """Tells whether a name looks like CCPD's (it may still be a damaged one)."""
    return stem.count("-") >= 4 and stem.count("&") >= 4


def _whole(field: str, text: str, high: int) -> int:
    if not _WHOLE.fullmatch(text) or int(text) > high:
        raise CcpdNameError(f"{field} is {text!r}, expected an integer from 0 to {high}")
    return int(text)


def _area(text: str) -> float:
    # The name holds the digits behind the decimal point: "025" is a share of 0.025.
    if not re.fullmatch(r"\d{1,24}", text, re.ASCII):
        raise CcpdNameError(f"area is {text!r}, expected the digits behind a decimal point, such as '025'")
    return float(f"0.{text}")


def _tilt(text: str) -> tuple[int, int]:
    parts = text.split("_")
    if len(parts) != 2:
        raise CcpdNameError(f"tilt is {text!r}, expected two angles, such as '95_113'")
    return _whole("tilt", parts[0], 360), _whole("tilt", parts[1], 360)


def _points(field: str, text: str, count: int) -> list[tuple[int, int]]:
    matches = [_POINT.fullmatch(part) for part in text.split("_")]
    points = [(int(m[1]), int(m[2])) for m in matches if m]
    if len(matches) != count or len(points) != count or max(map(max, points)) > MAX_COORDINATE:
        raise CcpdNameError(f"{field} is {text!r}, expected {count} points, such as '154&383'")
    return points


def _box(text: str) -> tuple[int, int, int, int]:
    (left, top), (right, bottom) = _points("box", text, 2)
    if left >= right or top >= bottom:
        raise CcpdNameError(f"box is {text!r}, expected left & top before right & bottom")
    return left, top, right, bottom


def _corners(text: str) -> Quad:
    bottom_right, bottom_left, top_left, top_right = _points("corners", text, 4)
    quad = np.array([top_left, top_right, bottom_right, bottom_left], np.float32)
    if not is_clockwise_convex(quad):
        raise CcpdNameError(
            f"corners are {text!r}, expected a convex quadrilateral from bottom-right on, clockwise"
        )
    return quad


def _text(text: str) -> str:
    indices = text.split("_")
    if len(indices) not in (7, 8):
        raise CcpdNameError(f"characters are {text!r}: {len(indices)} indices, expected 7 or 8")
    tables = (PROVINCES, ALPHABET, *(ADS,) * (len(indices) - 2))
    return "".join(
        table[_whole(f"character {place}", index, len(table) - 1)]
        for place, (index, table) in enumerate(zip(indices, tables, strict=True), 1)
    )
