"""What an image file says of itself before anything is decoded: its size, and what decoding it takes.

A decoder believes its file. A length that reaches beyond the file's end, a tag that stands twice, a hundred
scans over the same pixels each make a few bytes take gigabytes or minutes, so files are walked here first,
and refused where what they say cannot be.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["BYTES_PER_PIXEL", "ImageHeader", "check_structure", "read_header"]

BYTES_PER_PIXEL = 3
"""What a pixel takes as uint8 BGR: what a limit in pixels is counted in."""

_PNG = b"\x89PNG\r\n\x1a\n"
_MAX_SCANS = 64  # of a progressive JPEG; encoders make about ten
_TIFF_TAGS = (256, 257, 258, 277, 322, 323)  # width, height, bits, samples, tile's width and height
_ORIENTATION = 274
_TIFF_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}


@dataclass(frozen=True)
class ImageHeader:
    """What an image's header says.

    Attributes:
        width: In pixels.
        height: In pixels.
        alpha: Whether it may be transparent.
        bytes_per_pixel: Most bytes that a pixel takes while it is decoded, of all its channels.
        orientation: How to turn it, as EXIF counts, 1 to 8; of a JPEG, whose decoder turns it, always 1.
    """

    width: int
    height: int
    alpha: bool = False
    bytes_per_pixel: int = BYTES_PER_PIXEL
    orientation: int = 1

    @property
    def counted(self) -> int:
        """How many pixels of uint8 BGR take as much memory as this image does."""
        return -(-self.width * self.height * self.bytes_per_pixel // BYTES_PER_PIXEL)


def read_header(data: bytes) -> ImageHeader | None:  # noqa: PLR0911 (one return per format)
    """Reads an image file's header.

    Args:
        data: The file's bytes, or its first ones.

    Returns:
        What it says; None where it is no JPEG, PNG, BMP, WebP or TIFF, or ends within its header.
    """
    try:
        if data[:8] == _PNG:
            return _png_header(data)
        if data[:2] == b"\xff\xd8":
            return _jpeg_header(data)
        if data[:2] == b"BM" and len(data) >= 26:
            return _bmp_header(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp_header(data)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff_header(data)
    except (struct.error, IndexError, KeyError):
        return None
    return None


def check_structure(data: bytes) -> bytes:
    """Walks a file of a known format before a decoder does.

    Args:
        data: The whole file.

    Returns:
        What to decode: the file, a PNG without the chunks that say nothing of its pixels, a TIFF without what
        says how to turn it: decoders differ in whether they do.

    Raises:
        ValueError: What the file says of itself cannot be; says what.
    """
    if data[:8] == _PNG:
        return _essential_png(data)
    if data[:2] == b"\xff\xd8":
        # In compressed data a marker's first byte never stands alone, so this counts no pixels.
        scans = data.count(b"\xff\xda")
        if scans > _MAX_SCANS:
            raise ValueError(f"{scans} scans over the same pixels, more than {_MAX_SCANS}")
    elif data[:2] in (b"II", b"MM"):
        entries = list(_tiff_entries(data))
        tag, times = Counter(entry.tag for entry in entries).most_common(1)[0]
        if times > 1:  # two decoders need not take the same one
            raise ValueError(f"its tag {tag} stands there {times} times")
        for entry in entries:
            if entry.tag == _ORIENTATION:
                upright = struct.pack(_order(data) + "HHIHxx", _ORIENTATION, 3, 1, 1)
                data = data[: entry.at] + upright + data[entry.at + 12 :]
    return data


def _png_header(data: bytes) -> ImageHeader:
    width, height, bits, color = struct.unpack(">IIBB", data[16:26])
    chunks = {kind: (start, end) for kind, start, end in _png_chunks(data)}
    alpha = color in (4, 6) or b"tRNS" in chunks
    exif_start, exif_end = chunks.get(b"eXIf", (0, 0))
    turned = _orientation(data[exif_start + 8 : exif_end - 4]) if exif_end else 1
    return ImageHeader(width, height, alpha, (4 if alpha else 3) * (2 if bits == 16 else 1), turned)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Gives name, start and end of each chunk, as far as the bytes go."""
    at = len(_PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, end = data[at + 4 : at + 8], at + 12 + length
        yield kind, at, end
        if kind == b"IEND":
            return
        at = end


def _essential_png(data: bytes) -> bytes:
    kept: list[tuple[int, int]] = []
    for number, (kind, start, end) in enumerate(_png_chunks(data)):
        if end > len(data):
            raise ValueError(
                f"its chunk {kind!r} at byte {start} claims {end - start - 12} bytes, "
                f"{len(data) - start - 12} are left"
            )
        if (kind == b"IHDR") != (number == 0):
            raise ValueError(f"its chunk {number + 1} is {kind!r}, and IHDR stands first and once")
        # Bit 5 of the first letter: a decoder may do without. Of those transparency alone is what we show.
        if not kind[0] & 0x20 or kind == b"tRNS":
            kept.append((start, end))
    if sum(end - start for start, end in kept) + len(_PNG) == len(data):
        return data
    return _PNG + b"".join(data[start:end] for start, end in kept)


def _jpeg_header(data: bytes) -> ImageHeader | None:
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
            return ImageHeader(width, height)
        at += 2 + max(2, length)
    return None


def _bmp_header(data: bytes) -> ImageHeader:
    if struct.unpack("<I", data[14:18])[0] == 12:  # OS/2's short header
        width, height = struct.unpack("<HH", data[18:22])
    else:
        width, height = struct.unpack("<ii", data[18:26])
    return ImageHeader(width, abs(height))  # a negative height means top-down rows


def _webp_header(data: bytes) -> ImageHeader | None:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        animated = bool(data[20] & 0x02)
        alpha = bool(data[20] & 0x10)
        turned = _orientation(_webp_exif(data)) if data[20] & 0x08 else 1
        return ImageHeader(width, height, alpha, 8 if animated else 4 if alpha else 3, turned)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return ImageHeader(width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        bits = struct.unpack("<I", data[21:25])[0]
        return ImageHeader(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), True, 4)
    return None


def _webp_exif(data: bytes) -> bytes:
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"EXIF":
            return data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")
        at += 8 + length + length % 2
    return b""


class _Entry(NamedTuple):
    """One entry of a TIFF's directory: its place in the file, and what stands there."""

    at: int
    tag: int
    kind: int
    length: int
    value: bytes


def _order(data: bytes) -> str:
    return "<" if data[:2] == b"II" else ">"


def _tiff_entries(data: bytes) -> Iterator[_Entry]:
    """Gives each entry of the first directory."""
    order = _order(data)
    at = struct.unpack(order + "I", data[4:8])[0]
    count = struct.unpack(order + "H", data[at : at + 2])[0]
    for start in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack(order + "HHI", data[start : start + 8])
        yield _Entry(start, tag, kind, length, data[start + 8 : start + 12])


def _orientation(data: bytes) -> int:
    """Returns what a TIFF, or EXIF data, which are one, say of how to turn the image; 1 where nothing."""
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    try:
        for entry in _tiff_entries(data):
            if entry.tag == _ORIENTATION and (entry.kind, entry.length) == (3, 1):
                (turned,) = struct.unpack(_order(data) + "H", entry.value[:2])
                return turned if 1 <= turned <= 8 else 1
    except struct.error:  # no reason to refuse the pixels
        return 1
    return 1


def _tiff_header(data: bytes) -> ImageHeader:
    order = _order(data)
    tags: dict[int, int] = {}
    for _, tag, kind, count, value in _tiff_entries(data):
        if tag not in _TIFF_TAGS:
            continue
        # Of a value for each channel the first tells. An unknown type is a KeyError: libtiff knows more.
        letter = _TIFF_TYPES[kind]
        size = struct.calcsize(letter)
        at = struct.unpack(order + "I", value)[0]
        held = value if count * size <= 4 else data[at : at + size]
        tags[tag] = struct.unpack(order + letter, held[:size])[0]
    width, height, bits, samples, tile_width, tile_height = map(tags.get, _TIFF_TAGS, (0, 0, 1, 1, 0, 0))
    depth = max(1, -(-bits // 8))
    alpha = samples in (2, 4)
    # A strip or tile is unpacked as it is stored, and a tile may be larger than its image.
    stored = max(width * height, tile_width * tile_height) * samples * depth
    shown = (4 if alpha else 3) * depth
    taken = max(shown, -(-stored // max(1, width * height)))
    return ImageHeader(width, height, alpha, taken, _orientation(data))
