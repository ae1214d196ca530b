"""One image file → uint8 H×W×3 BGR, whatever its depth, channels, orientation or name.

The size is read from the file's header before anything is decoded, so a small file that claims a huge image
(a decompression bomb) costs nothing. Only formats whose header is understood here are read at all; that keeps
the rarer decoders of OpenCV away from files of others.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.errors import OutputError, SourceError, one_line
from edge_lpr.io.atomic_io import write_bytes
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.types import Image

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".webp", ".tif", ".tiff"})
IMAGES_WRITTEN = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
FORMATS = "JPEG, PNG, BMP, WebP or TIFF"
MAX_PIXELS = (
    100_000_000  # 300 MB as BGR; the largest phone sensors of today give 50 to 108 megapixels as JPEG
)
MAX_BYTES = 512 << 20
_HEAD = 1 << 16


def read_image(path: str | Path) -> Image:
    """Reads and decodes one image.

    16-bit samples are scaled by the number of bits in use, transparency is laid on white as viewers show it,
    grey becomes three equal channels, and the EXIF orientation is applied (not with transparency). Of a file
    with several images the first is taken.

    Args:
        path: The file. Any character that the file system takes may be in the name.

    Returns:
        uint8 H×W×3, BGR.

    Raises:
        SourceError: Missing, unreadable, empty, not an image, damaged, or larger than `MAX_PIXELS`.
    """
    excess = "{size_mib} MiB are more than an image of {limit_mib} MiB"
    missing = f"{path}: no such file"
    data = read_bounded(path, MAX_BYTES, "an image", SourceError, excess=excess, missing=missing)
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str) -> Image:
    """Decodes an image from memory, as `read_image` does.

    Args:
        data: The bytes of an image file.
        name: What error messages call it.

    Returns:
        uint8 H×W×3, BGR.

    Raises:
        SourceError: Empty, not an image, damaged, or larger than `MAX_PIXELS`.
    """
    if not data:
        raise SourceError(f"{name}: the file is empty (0 bytes)")
    size = image_size(data)
    if size is None:
        raise SourceError(
            f"{name}: not an image that edge-lpr reads; expected {FORMATS}, found {_opening(data)}"
        )
    width, height = size
    if width < 1 or height < 1:
        raise SourceError(f"{name}: damaged, its header says {width}×{height} pixels")
    if width * height > MAX_PIXELS:
        raise SourceError(
            f"{name}: {width}×{height} pixels, more than the limit of {MAX_PIXELS // 1_000_000} megapixels; "
            "scale the image down"
        )
    buffer = np.frombuffer(data, np.uint8)
    # IMREAD_UNCHANGED is the one flag that keeps transparency, and the one that skips the EXIF orientation.
    flags = cv2.IMREAD_UNCHANGED if _has_alpha(data) else cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    try:
        # imdecode, not imread: imread cannot open names beyond the code page on Windows.
        image = cv2.imdecode(buffer, flags)
    except (cv2.error, MemoryError) as e:
        raise SourceError(f"{name}: cannot be decoded ({one_line(e, 120)})") from e
    if image is None:
        raise SourceError(
            f"{name}: damaged or cut short: the header is in order, the image cannot be decoded"
        )
    if image.dtype not in (np.uint8, np.uint16):
        raise SourceError(f"{name}: {image.dtype} samples; expected 8 or 16 bits per channel")
    return _to_bgr8(image)


def write_image(path: Path, image: Image) -> None:
    """Encodes an image by its suffix and writes it aside, then gives it its name.

    Raises:
        OutputError: It cannot be encoded or written.
    """
    try:
        ok, data = cv2.imencode(path.suffix, image)
    except cv2.error:
        ok = False
    if not ok:
        height, width = image.shape[:2]
        raise OutputError(f"{path}: {width}×{height} pixels cannot be encoded as {path.suffix}")
    write_bytes(path, data.tobytes(), durable=False)


def image_size(data: bytes) -> tuple[int, int] | None:  # noqa: PLR0911 (one return per format)
    """Reads width and height, in pixels, from an image file's header; None where it is no known format."""
    try:
        if data[:8] == b"\x89PNG\r\n\x1a\n":
            width, height = struct.unpack(">II", data[16:24])
            return width, height
        if data[:2] == b"\xff\xd8":
            return _jpeg_size(data)
        if data[:2] == b"BM" and len(data) >= 26:
            if struct.unpack("<I", data[14:18])[0] == 12:  # OS/2's short header
                width, height = struct.unpack("<HH", data[18:22])
            else:
                width, height = struct.unpack("<ii", data[18:26])
            return width, abs(height)  # a negative height means top-down rows
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp_size(data)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff_size(data)
    except (struct.error, IndexError, KeyError):
        return None
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    # The frame header (SOFn) holds the size; DHT, JPG and DAC share its range of markers.
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
            continue
        length = struct.unpack(">H", data[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + max(2, length)
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        bits = struct.unpack("<I", data[21:25])[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None


def _tiff_size(data: bytes) -> tuple[int, int]:
    tags = _tiff_tags(data)
    return tags[256], tags[257]


def _tiff_tags(data: bytes) -> dict[int, int]:
    """The first directory's tags that are one short or long number."""
    order = "<" if data[:2] == b"II" else ">"
    at = struct.unpack(order + "I", data[4:8])[0]
    count = struct.unpack(order + "H", data[at : at + 2])[0]
    tags = {}
    for i in range(count):
        tag, kind, items = struct.unpack(order + "HHI", data[at + 2 + 12 * i : at + 10 + 12 * i])
        if items == 1 and kind in (3, 4):
            value = data[at + 10 + 12 * i : at + 14 + 12 * i]
            tags[tag] = struct.unpack(order + ("H" if kind == 3 else "I"), value[: 2 if kind == 3 else 4])[0]
    return tags


def _has_alpha(data: bytes) -> bool:
    if data[:4] == b"\x89PNG":
        return len(data) > 25 and (data[25] in (4, 6) or b"tRNS" in data[:_HEAD])
    if data[:4] == b"RIFF":
        return (data[12:16] == b"VP8X" and bool(data[20] & 0x10)) or data[12:16] == b"VP8L"
    if data[:2] in (b"II", b"MM"):
        return _tiff_tags(data).get(277, 1) in (2, 4)
    return False


def _to_bgr8(image: NDArray[Any]) -> Image:
    if image.dtype == np.uint16:
        # Cameras store 10, 12 or 14 bits in 16-bit files, unshifted: their upper byte alone is black.
        bits = max(8, int(image[..., :3].max() if image.ndim == 3 else image.max()).bit_length())
        bits += bits % 2
        alpha = image[..., 3:] >> 8 if image.ndim == 3 else None
        image = np.minimum(image >> (bits - 8), 255).astype(np.uint8)
        if alpha is not None and alpha.size:
            image[..., 3:] = alpha
    if image.ndim == 2 or image.shape[2] == 1:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    if image.shape[2] == 4:
        alpha = image[..., 3:].astype(np.uint16)
        if int(alpha.min()) < 255:
            laid = (image[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
            return np.ascontiguousarray(laid.astype(np.uint8))
    return np.ascontiguousarray(image[..., :3])


def _opening(data: bytes) -> str:
    head = data[:16]
    shown = (
        head.decode("ascii", "replace")
        if head.isascii() and head.decode().isprintable()
        else head.hex(" ", 4)
    )
    return f"a file that starts with {shown!r}"
