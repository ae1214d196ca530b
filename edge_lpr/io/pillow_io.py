"""Images that OpenCV does not know everywhere, or does not bound: read by Pillow, HEIC by pillow-heif.

Pillow tells an image's size before it takes memory for its pixels. It is imported as the first such image
is read.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.errors import SourceError, one_line
from edge_lpr.installing import install_command
from edge_lpr.io.image_header import ImageHeader

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

__all__ = ["PILLOW_FORMATS", "PillowImage"]

PILLOW_FORMATS = frozenset({"GIF", "JPEG 2000", "PNM", "AVIF", "HEIC"})
"""Formats, by the names of `edge_lpr.io.sniff`, that are read here."""
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
        except Exception as e:  # whatever a reader stumbles over in a file from anywhere
            raise self._failure(e) from e
        width, height = self._image.size
        alpha = self._image.mode in _ALPHA or "transparency" in self._image.info
        self.header = ImageHeader(width, height, alpha, _BYTES_PER_PIXEL, _orientation(self._image))

    def decode(self) -> NDArray[Any]:
        """Decodes it, as it is stored.

        Returns:
            uint8 or uint16, H×W, H×W×3 BGR or H×W×4 BGRA.

        Raises:
            SourceError: It is damaged.
        """
        try:
            with self._image as image:
                image.load()
                samples = _samples(image, self.header.alpha)
        except Exception as e:
            raise self._failure(e) from e
        if samples.shape[:2] != (self.header.height, self.header.width):
            raise SourceError(
                f"{self._name}: damaged, its header says {self.header.width}×{self.header.height} pixels, "
                f"and decoded it has {samples.shape[1]}×{samples.shape[0]}"
            )
        return samples

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


def _orientation(image: Any) -> int:  # noqa: ANN401
    """Returns how to turn it, as EXIF counts; Pillow puts there what AVIF and HEIC say otherwise."""
    try:
        turned = image.getexif().get(0x0112)
    except Exception:  # no reason to refuse the pixels
        return 1
    return turned if turned in range(1, 9) else 1


def _samples(image: Any, alpha: bool) -> NDArray[Any]:  # noqa: ANN401
    if image.mode.startswith("I"):
        return np.asarray(np.clip(np.asarray(image), 0, 65535), np.uint16)
    if alpha:
        return np.ascontiguousarray(np.asarray(image.convert("RGBA"))[..., [2, 1, 0, 3]])
    if image.mode == "L":
        return np.asarray(image, np.uint8)
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
