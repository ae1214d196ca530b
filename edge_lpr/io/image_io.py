"""One image file → uint8 H×W×3 BGR, whatever its format, depth, channels, orientation or name.

What a file is, its content says (`sniff`). OpenCV decodes the formats that are common; such a file is walked
first (`image_header`), so that a small one that claims a huge image (a decompression bomb) costs nothing, and
the rarer decoders of OpenCV see no files of others. Pillow reads the rest (`pillow_io`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.errors import OutputError, SourceError, one_line
from edge_lpr.io.atomic_io import write_bytes
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.image_header import BYTES_PER_PIXEL, ImageHeader, check_structure, read_header
from edge_lpr.io.pillow_io import PILLOW_FORMATS, PillowImage
from edge_lpr.io.sniff import HEAD, sniff
from edge_lpr.types import Image

IMAGES_WRITTEN = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
FORMATS = "JPEG, PNG, BMP, WebP, TIFF, GIF, JPEG 2000, PPM/PGM/PBM, AVIF or HEIC"
MAX_PIXELS = (
    100_000_000  # 300 MB as BGR; the largest phone sensors of today give 50 to 108 megapixels as JPEG
)
MAX_BYTES = 512 << 20
_ROWS_AT_ONCE = 1 << 22  # bytes of an image that are changed at a time


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> Image:
    """Reads and decodes one image.

    16-bit samples are scaled by the number of bits in use, transparency is laid on white as viewers show it,
    grey becomes three equal channels, and the EXIF orientation is applied. Of a file with several images the
    first is taken, or the one that the file says is its main one.

    Args:
        path: The file. Any character that the file system takes may be in the name.
        max_pixels: The largest image, counted as `ImageHeader.counted` does: an image of 16 bits and four
            channels takes as much memory as one of two and two thirds times its pixels.

    Returns:
        uint8 H×W×3, BGR.

    Raises:
        SourceError: Missing, unreadable, empty, not an image, damaged, or too large.
    """
    return decode_image(read_image_file(path), str(path), max_pixels)


def read_image_file(path: str | Path) -> bytes:
    """Reads the bytes of an image file, for `decode_image`.

    Raises:
        SourceError: Missing, unreadable, no regular file, or of more bytes than an image has.
    """
    excess = "{size_mib} MiB are more than an image of {limit_mib} MiB"
    missing = f"{path}: no such file"
    return read_bounded(path, MAX_BYTES, "an image", SourceError, excess=excess, missing=missing)


def decode_image(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Image:
    """Decodes an image from memory, as `read_image` does.

    Args:
        data: The bytes of an image file.
        name: What error messages call it.
        max_pixels: See `read_image`.

    Returns:
        uint8 H×W×3, BGR.

    Raises:
        SourceError: Empty, not an image, damaged, or too large.
    """
    if not data:
        raise SourceError(f"{name}: the file is empty (0 bytes)")
    content = sniff(data[:HEAD])
    if content is not None and content.format in PILLOW_FORMATS:
        opened = PillowImage(data, content.format, name)
        _check_size(opened.header, name, max_pixels)
        return _turned(to_bgr8(opened.decode()), opened.header.orientation)
    header = read_header(data)
    if header is None:
        found = f"a video ({content.format})" if content and content.medium == "video" else _opening(data)
        raise SourceError(f"{name}: not an image that edge-lpr reads; expected {FORMATS}, found {found}")
    _check_size(header, name, max_pixels)
    return _turned(to_bgr8(_by_opencv(data, header, name)), header.orientation)


def encode_image(image: Image, suffix: str, quality: int | None = None) -> bytes | None:
    """Encodes an image.

    Args:
        image: uint8 H×W×3 BGR.
        suffix: Of `IMAGES_WRITTEN`.
        quality: Of JPEG, 0 to 100; OpenCV's 95 by default.

    Returns:
        The bytes of its file; None where the format cannot hold it, or is none that is written.
    """
    try:
        ok, data = cv2.imencode(suffix, image, [] if quality is None else [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error:
        return None
    return data.tobytes() if ok else None


def write_image(path: Path, image: Image, quality: int | None = None) -> int:
    """Encodes an image by its suffix and writes it aside, then gives it its name.

    Not written through to the disk: a power cut may take it with it.

    Args:
        path: The file.
        image: uint8 H×W×3 BGR.
        quality: See `encode_image`.

    Returns:
        How many bytes it has.

    Raises:
        OutputError: It cannot be encoded or written.
    """
    data = encode_image(image, path.suffix, quality)
    if data is None:
        height, width = image.shape[:2]
        raise OutputError(f"{path}: {width}×{height} pixels cannot be encoded as {path.suffix}")
    write_bytes(path, data, durable=False)
    return len(data)


def _by_opencv(data: bytes, header: ImageHeader, name: str) -> NDArray[Any]:
    try:
        buffer = np.frombuffer(check_structure(data), np.uint8)
    except ValueError as e:
        raise SourceError(f"{name}: damaged or cut short: {e}") from e
    # IMREAD_UNCHANGED is the one flag that keeps transparency.
    flags = cv2.IMREAD_UNCHANGED if header.alpha else cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    if not data.startswith(b"\xff\xd8"):  # of other formats, which are turned depends on OpenCV's version
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    try:
        # imdecode, not imread: imread cannot open names beyond the code page on Windows.
        image = cv2.imdecode(buffer, flags)
    except (cv2.error, MemoryError) as e:
        raise SourceError(f"{name}: cannot be decoded ({one_line(e, 120)})") from e
    if image is None:
        raise SourceError(
            f"{name}: damaged or cut short: the header is in order, the image cannot be decoded"
        )
    if sorted(image.shape[:2]) != sorted((header.height, header.width)):  # turned, where EXIF says so
        raise SourceError(
            f"{name}: damaged, its header says {header.width}×{header.height} pixels, and decoded it has "
            f"{image.shape[1]}×{image.shape[0]}"
        )
    if image.dtype not in (np.uint8, np.uint16):
        raise SourceError(f"{name}: {image.dtype} samples; expected 8 or 16 bits per channel")
    return image


def _check_size(header: ImageHeader, name: str, max_pixels: int) -> None:
    size = f"{header.width}×{header.height} pixels"
    if header.width < 1 or header.height < 1:
        raise SourceError(f"{name}: damaged, its header says {size}")
    if header.counted > max_pixels:
        if header.bytes_per_pixel > BYTES_PER_PIXEL:
            size += f" of {header.bytes_per_pixel} bytes"
        raise SourceError(f"{name}: {size}, {too_many(max_pixels)}; scale the image down")


def too_many(max_pixels: int) -> str:
    """Says that a size is beyond the limit, as a part of a sentence."""
    return f"more than the limit of {max_pixels / 1e6:g} megapixels (--max-pixels)"


def to_bgr8(image: NDArray[Any]) -> Image:
    """Makes grey, BGR or BGRA of 8 or 16 bits what is read: transparency on white, 16 bits by those in use.

    Args:
        image: uint8 or uint16, H×W, H×W×1, H×W×3 BGR or H×W×4 BGRA; a pixel at least.

    Returns:
        uint8 H×W×3 BGR.
    """
    if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        return np.ascontiguousarray(image)
    # Cameras store 10, 12 or 14 bits in 16-bit files, unshifted: their upper byte alone is black.
    bits = 8
    if image.dtype == np.uint16:
        bits = max(8, int(image[..., :3].max() if image.ndim == 3 else image.max()).bit_length())
        bits += bits % 2
    height, width = image.shape[:2]
    result = np.empty((height, width, 3), np.uint8)
    rows = max(1, _ROWS_AT_ONCE // max(1, image[0].nbytes))
    for top in range(0, height, rows):
        result[top : top + rows] = _rows_to_bgr8(image[top : top + rows], bits)
    return result


def _rows_to_bgr8(image: NDArray[Any], bits: int) -> Image:
    if image.dtype == np.uint16:
        alpha = image[..., 3:] >> 8 if image.ndim == 3 else None
        image = np.minimum(image >> (bits - 8), 255).astype(np.uint8)
        if alpha is not None and alpha.size:
            image[..., 3:] = alpha
    if image.ndim == 2 or image.shape[2] == 1:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    if image.shape[2] == 4:
        alpha = image[..., 3:].astype(np.uint16)
        return np.asarray((image[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255, np.uint8)
    return image[..., :3]


def _turned(image: Image, orientation: int) -> Image:
    """Turns an image upright; see `ImageHeader.orientation`."""
    if orientation in (5, 6, 7, 8):
        image = np.asarray(cv2.transpose(image), np.uint8)
    across, down = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    if across or down:
        image = np.asarray(cv2.flip(image, -1 if across and down else 1 if across else 0), np.uint8)
    return image


def _opening(data: bytes) -> str:
    head = data[:16]
    shown = (
        head.decode("ascii", "replace")
        if head.isascii() and head.decode().isprintable()
        else head.hex(" ", 4)
    )
    return f"a file that starts with {shown!r}"
