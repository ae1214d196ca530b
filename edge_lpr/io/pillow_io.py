"""Pictures that OpenCV does not know everywhere, or does not bound: read by Pillow, HEIC by pillow-heif.

Pillow tells an image's size before it takes memory for its pixels. It is imported as the first such picture
is read.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.errors import SourceError, one_line
from edge_lpr.installing import install_command
from edge_lpr.io.image_header import ImageHeader

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

__all__ = ["DAMAGED", "PILLOW_FORMATS", "PillowImage"]

PILLOW_FORMATS = frozenset({"GIF", "JPEG 2000", "PNM", "AVIF", "HEIC"})
"""Formats, by the names of `edge_lpr.io.sniff`, that are read here."""
DAMAGED = (
    *(SyntaxError, OSError, ValueError, EOFError, RuntimeError, MemoryError, TypeError),
    *(LookupError, ArithmeticError, AttributeError, struct.error, zlib.error),
)
"""What Pillow's readers raise for a file that is not in order."""
_ALPHA = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_BYTES_PER_PIXEL = 4  # Pillow's own, of one with more than a channel
_MAX_TILE_PARTS = 1 << 14  # tiles × channels of a JPEG 2000, for each of which its decoder takes memory first


class PillowImage:
    """An image that is opened and not decoded yet.

    Args:
        data: The bytes of its file.
        format: Its format; one of `PILLOW_FORMATS`.
        name: What error messages call it.

    Attributes:
        header: What it says of itself.

    Raises:
        SourceError: It is damaged, or what reads it is not installed.
    """

    def __init__(self, data: bytes, format: str, name: str) -> None:  # noqa: A002
        self._name = name
        try:
            if format == "JPEG 2000":
                _check_codestream(data)
            self._image: ImageFile = _reader(format, name)(io.BytesIO(data))
        except SourceError:
            raise
        except DAMAGED as e:
            raise self._failure(e) from e
        width, height = self._image.size
        alpha = self._image.mode in _ALPHA or "transparency" in self._image.info
        self.header = ImageHeader(width, height, alpha, _BYTES_PER_PIXEL)

    def decode(self) -> NDArray[Any]:
        """Decodes it, turned upright as its EXIF says.

        Returns:
            uint8 or uint16, H×W, H×W×3 BGR or H×W×4 BGRA.

        Raises:
            SourceError: It is damaged.
        """
        from PIL import ImageOps

        size = self._image.size
        try:
            with self._image as image:
                image.load()
                if image.size != size:
                    raise ValueError(f"its header says {size}, and decoded it has {image.size} pixels")
                ImageOps.exif_transpose(image, in_place=True)
                return _samples(image, self.header.alpha)
        except DAMAGED as e:
            raise self._failure(e) from e

    def _failure(self, error: BaseException) -> SourceError:
        return SourceError(f"{self._name}: damaged or cut short: {one_line(error, 120)}")


def _reader(format: str, name: str) -> Any:  # noqa: A002, ANN401 (one return per format)
    """Returns Pillow's class that reads a format: by `Image.open` each would first be asked of all others."""
    if format == "GIF":
        from PIL.GifImagePlugin import GifImageFile

        return GifImageFile
    if format == "JPEG 2000":
        from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

        return Jpeg2KImageFile
    if format == "PNM":
        from PIL.PpmImagePlugin import PpmImageFile

        return PpmImageFile
    if format == "AVIF":
        from PIL import features
        from PIL.AvifImagePlugin import AvifImageFile

        if not features.check("avif"):
            raise SourceError(f"{name}: an AVIF image, and this Pillow was built without AVIF")
        return AvifImageFile
    try:
        from pillow_heif import HeifImageFile
    except ImportError as e:
        raise SourceError(
            f"{name}: a HEIC image, and the package 'pillow_heif' of the extra 'heif' is not installed: "
            f"{install_command('heif')}"
        ) from e
    return HeifImageFile


def _samples(image: Any, alpha: bool) -> NDArray[Any]:  # noqa: ANN401
    if image.mode.startswith("I"):
        return np.clip(np.asarray(image), 0, 65535).astype(np.uint16)
    if alpha:
        return np.ascontiguousarray(np.asarray(image.convert("RGBA"))[..., [2, 1, 0, 3]])
    if image.mode == "L":
        return np.asarray(image)
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])


def _check_codestream(data: bytes) -> None:
    """Refuses a JPEG 2000 whose tiles alone take gigabytes, before anything is taken for them."""
    at = data.find(b"\xff\x4f\xff\x51")
    if at < 0:
        raise ValueError("no image in it")
    x1, y1, x0, y0, width, height, left, top, channels = struct.unpack(">8IH", data[at + 8 : at + 42])
    if not (width and height):
        raise ValueError("its tiles are empty")
    tiles = -(-max(0, x1 - left) // width) * -(-max(0, y1 - top) // height)
    if tiles * channels > _MAX_TILE_PARTS:
        raise ValueError(f"{tiles} tiles of {channels} channels, more than {_MAX_TILE_PARTS} together")
    if x0 > x1 or y0 > y1:
        raise ValueError("its image is empty")
