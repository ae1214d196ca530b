"""What a file is by its first bytes, whatever its name says: an image, a video, or neither."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_lpr.errors import SourceError
from edge_lpr.io.walk import unreadable

__all__ = [
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "Content",
    "Medium",
    "is_image",
    "medium_of",
    "read_head",
    "sniff",
]

Medium = Literal["image", "video"]

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".webp", ".tif", ".tiff"}
    | {".avif", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm"}
)
"""Suffixes of images. A GIF has none of these: it may be a video."""
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".flv", ".wmv"}
    | {".3gp", ".ogv", ".dav", ".h264", ".264", ".h265", ".265", ".hevc", ".mjpeg", ".mjpg", ".asf", ".vob"}
)
HEAD = 4096
"""Bytes that are enough to tell."""

_MOTION_JPEG = frozenset({".mjpeg", ".mjpg"})
_TIFF_SUFFIXES = frozenset({"", ".tif", ".tiff"})
_STILL_BRANDS = frozenset({b"mif1", b"mif2", b"mif3", b"msf1", b"miaf", b"1pic"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_SOUND_BRANDS = frozenset({b"M4A ", b"M4B ", b"M4P "})
_RAW_BRANDS = frozenset({b"crx "})
_QUICKTIME = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"moof", b"styp"})
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_PNM = re.compile(rb"P[1-6]\s+(?:#[^\n]*\n\s*)*[0-9]+\s")
_STARTS: tuple[tuple[bytes, Medium, str], ...] = (
    (b"\xff\xd8\xff", "image", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "image", "PNG"),
    (b"GIF87a", "image", "GIF"),
    (b"GIF89a", "image", "GIF"),
    (b"II*\0", "image", "TIFF"),
    (b"MM\0*", "image", "TIFF"),
    (b"\xff\x4f\xff\x51", "image", "JPEG 2000"),
    (b"\x1a\x45\xdf\xa3", "video", "Matroska"),
    (b"FLV\x01", "video", "FLV"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video", "ASF"),
    (b"\0\0\x01\xba", "video", "MPEG"),
    (b"\0\0\x01\xb3", "video", "MPEG"),
    (b"DHAV", "video", "DHAV"),
    (b"DKIF", "video", "IVF"),
    (b"YUV4MPEG2 ", "video", "YUV4MPEG"),
    (b"nut/multimedia container", "video", "NUT"),
    (b"\x06\x0e\x2b\x34\x02\x05\x01\x01", "video", "MXF"),
)
_H264_STARTS, _H265_STARTS = frozenset({6, 7, 9}), frozenset({32, 33, 35, 39})


@dataclass(frozen=True)
class Content:
    """What the first bytes of a file say.

    Attributes:
        medium: "image" or "video"; a GIF is an image here, see `medium_of`.
        format: Its format's name: "JPEG", "HEIC", "MP4".
    """

    medium: Medium
    format: str


def sniff(head: bytes) -> Content | None:  # noqa: PLR0911 (one return per family of formats)
    """Tells what a file is.

    Args:
        head: Its first bytes; `HEAD` of them are enough.

    Returns:
        What it is; None where it is neither an image nor a video of a known format.
    """
    for start, medium, name in _STARTS:
        if head.startswith(start):
            return Content(medium, name)
    if head[:4] == b"RIFF":
        kinds: dict[bytes, Content] = {
            b"WEBP": Content("image", "WebP"),
            b"AVI ": Content("video", "AVI"),
        }
        return kinds.get(head[8:12])
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return Content("image", "BMP")
    if _PNM.match(head):
        return Content("image", "PNM")
    if head[:12] == b"\0\0\0\x0cjP  \r\n\x87\n":
        motion = head[20:24] == b"mjp2"
        return Content("video", "Motion JPEG 2000") if motion else Content("image", "JPEG 2000")
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    if head[4:8] in _QUICKTIME:
        return Content("video", "QuickTime")
    if head[:4] == b"OggS":
        return Content("video", "Ogg") if b"theora" in head[:512] else None
    if _is_transport_stream(head):
        return Content("video", "MPEG-TS")
    return _elementary(head)


def is_image(head: bytes) -> bool:
    """Tells by its first bytes whether `decode_image` is what reads a file.

    Args:
        head: Its first bytes; `HEAD` of them are enough. A GIF counts as a video, which one of a single image
            can be read as too.
    """
    content = sniff(head)
    return content is not None and content.medium == "image" and content.format != "GIF"


def medium_of(path: Path) -> Medium | None:
    """Tells what a file is to be read as, by its content, and where that is not known by its suffix.

    Returns:
        "video" for a GIF of several images too; None for a file of another kind.

    Raises:
        SourceError: It cannot be read.
    """
    suffix = path.suffix.lower()
    content = sniff(read_head(path))
    if content is None:
        return "image" if suffix in IMAGE_SUFFIXES else "video" if suffix in VIDEO_SUFFIXES else None
    if content.format == "JPEG" and suffix in _MOTION_JPEG:  # which begins like an image
        return "video"
    if content.format == "TIFF" and suffix not in _TIFF_SUFFIXES | IMAGE_SUFFIXES | VIDEO_SUFFIXES:
        return None  # a camera's raw file, of which this would be the thumbnail
    if content.format == "GIF":
        return "video" if _is_animated(path) else "image"
    return content.medium


def read_head(path: Path, shown: str = "") -> bytes:
    """Reads a file's first `HEAD` bytes.

    Args:
        path: The file.
        shown: What messages call it; "" is its path.

    Raises:
        SourceError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError as e:
        raise SourceError(unreadable(shown or path, e)) from e


def _of_brands(head: bytes) -> Content | None:
    size = int.from_bytes(head[:4], "big")
    major, compatible = head[8:12], {head[at : at + 4] for at in range(16, min(size, len(head)), 4)}
    if major in _SOUND_BRANDS | _RAW_BRANDS:
        return None
    # A video may be made of images too, and says so among the rest; what it is first of all stands first.
    for brands, name in ((_HEIC_BRANDS, "HEIC"), (_AVIF_BRANDS, "AVIF")):
        if major in brands or (major in _STILL_BRANDS and compatible & brands):
            return Content("image", name)
    return Content("image", "HEIC") if major in _STILL_BRANDS else Content("video", "MP4")


def _is_transport_stream(head: bytes) -> bool:
    # Packets of 188 bytes, of which each begins with the same byte; Blu-ray and cameras put four before it.
    return any(
        len(head) > first + 2 * step and all(head[first + n * step] == 0x47 for n in range(3))
        for first, step in ((0, 188), (4, 192))
    )


def _elementary(head: bytes) -> Content | None:
    """Tells a stream of H.264 or H.265 that has no container."""
    at = 4 if head[:4] == b"\0\0\0\x01" else 3 if head[:3] == b"\0\0\x01" else 0
    if not at or len(head) < at + 2 or head[at] & 0x80:
        return None
    if head[at + 1] == 1 and head[at] >> 1 & 0x3F in _H265_STARTS:
        return Content("video", "H.265")
    return Content("video", "H.264") if head[at] & 0x1F in _H264_STARTS else None


def _is_animated(path: Path) -> bool:
    from PIL.GifImagePlugin import GifImageFile

    try:
        with GifImageFile(str(path)) as image:
            return bool(image.is_animated)
    except Exception:  # said as it is read
        return False
