"""What a caller may hand in as one image: a file's path, an array as OpenCV gives it, or a Pillow image."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_lpr.addresses import is_address, shown_source
from edge_lpr.errors import SettingError, SourceError
from edge_lpr.io.image_io import read_image, to_bgr8
from edge_lpr.io.sniff import medium_of
from edge_lpr.types import Image

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["ImageLike", "as_image"]

_EXPECTED = (
    "expected a path, a Pillow image, or an array of uint8 (or uint16): grey H×W, BGR H×W×3 or BGRA H×W×4"
)


ImageLike: TypeAlias = "str | os.PathLike[str] | PillowImage | NDArray[Any] | None"
"""A path; a Pillow image; an array as OpenCV gives it; or None, an error here, which `cv2.imread` gives where
it fails."""


def as_image(given: ImageLike) -> Image:
    """Makes of what a caller hands in the image that is read.

    Args:
        given: A path (str or `os.PathLike`); a Pillow image of any mode, turned as its EXIF says; or an
            array, uint8 or uint16: H×W or H×W×1 grey, H×W×3 BGR, H×W×4 BGRA. Transparency is laid on white.

    Returns:
        uint8 H×W×3 BGR: an array of that kind itself.

    Raises:
        SettingError: None, or something else than these.
        SourceError: The file cannot be read as an image.
    """
    if isinstance(given, np.ndarray):
        return _of_array(given)
    if isinstance(given, str | os.PathLike):
        return _of_path(os.fspath(given))
    if given is None:
        raise SettingError(
            "an image is None, which cv2.imread gives where it cannot read a file; hand in the path itself, "
            "and the error says what is wrong with it"
        )
    pillow = sys.modules.get("PIL.Image")  # who has such an image has imported it
    if pillow is not None and isinstance(given, pillow.Image):
        return _of_pillow(given)
    raise SettingError(f"an image is {type(given).__name__}, {_EXPECTED}")


def _of_array(array: NDArray[Any]) -> Image:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype not in (np.uint8, np.uint16) or array.ndim not in (2, 3) or channels not in (1, 3, 4):
        found = f"{array.dtype} {'×'.join(map(str, array.shape))}"
        raise SettingError(f"an image is {found}, {_EXPECTED}")
    if 0 in array.shape:
        raise SettingError(f"an image of {array.shape[1]}×{array.shape[0]} pixels is empty")
    if array.dtype == np.uint8 and channels == 3:
        return array
    return to_bgr8(array)


def _of_path(path: str) -> Image:
    if is_address(path):
        raise SourceError(f"{shown_source(path)}: an address, expected an image; events() reads addresses")
    try:
        return read_image(path)
    except SourceError as e:
        file = Path(path)
        if file.is_dir() or (file.is_file() and medium_of(file) == "video"):
            raise SourceError(
                f"{path}: a folder or video, expected an image; events() reads folders and videos"
            ) from e
        raise


def _of_pillow(given: PillowImage) -> Image:
    from PIL import ImageOps

    if 0 in given.size:
        raise SettingError(f"an image of {given.size[0]}×{given.size[1]} pixels is empty")
    try:
        upright = ImageOps.exif_transpose(given)
        if upright.mode.startswith("I"):  # 16 bits, or 32
            return to_bgr8(np.clip(np.asarray(upright), 0, 65535).astype(np.uint16))
        mode = "RGBA" if upright.has_transparency_data else "RGB"
        samples = np.asarray(upright.convert(mode))
    except (OSError, SyntaxError, ValueError) as e:  # it is decoded only now
        raise SourceError(f"a Pillow image cannot be decoded: {e}") from e
    return to_bgr8(np.ascontiguousarray(samples[..., [2, 1, 0, 3][: len(mode)]]))
