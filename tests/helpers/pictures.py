"""Files of the pictures that Pillow reads, made by it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

ORIENTATION = 0x0112


def quarters() -> NDArray[np.uint8]:
    """A 64×96 BGR image of four colours, different however it is turned or mirrored."""
    image = np.zeros((64, 96, 3), np.uint8)
    image[:32, :48], image[:32, 48:] = (0, 0, 255), (0, 255, 0)
    image[32:, :48], image[32:, 48:] = (255, 0, 0), (0, 255, 255)
    return image


def encoded(image: NDArray[np.uint8], format: str, mode: str = "RGB", **options: Any) -> bytes:  # noqa: A002
    """Encodes a BGR image by a format's name in Pillow; "HEIF" needs pillow-heif."""
    picture = Image.fromarray(np.ascontiguousarray(image[..., ::-1])).convert(mode)
    return saved(picture, format, **options)


def turned(image: NDArray[np.uint8], format: str, orientation: int, mode: str = "RGB") -> bytes:  # noqa: A002
    """Encodes a BGR image so that it is shown as given once it is turned as its EXIF says."""
    picture = Image.fromarray(np.ascontiguousarray(image[..., ::-1])).convert(mode)
    exif = Image.Exif()
    exif[ORIENTATION] = {6: 8, 8: 6}.get(orientation, orientation)  # the way there, which is its own way back
    picture.info["exif"] = exif.tobytes()
    stored = ImageOps.exif_transpose(picture)
    exif[ORIENTATION] = orientation
    stored.info.clear()
    return saved(stored, format, exif=exif)


def heic_of_tiles(image: NDArray[np.uint8], side: int) -> bytes:
    """Encodes a BGR image as phones do: as a grid of pictures of so many pixels, each a part of it."""
    import pillow_heif

    before = pillow_heif.options.GRID_TILE_SIZE
    pillow_heif.options.GRID_TILE_SIZE = side
    try:
        data = encoded(image, "HEIF")
    finally:
        pillow_heif.options.GRID_TILE_SIZE = before
    assert b"grid" in data
    return data


def animated_gif(*values: int) -> bytes:
    """A GIF of grey 32×48 pictures, one a value."""
    out = io.BytesIO()
    first, *others = (Image.new("L", (48, 32), value) for value in values)
    first.save(out, "GIF", save_all=True, append_images=others, duration=100)
    return out.getvalue()


def saved(picture: Any, format: str, **options: Any) -> bytes:  # noqa: A002
    """Encodes a picture of Pillow's; see `encoded`."""
    out = io.BytesIO()
    if format == "HEIF":
        import pillow_heif

        exif = options.pop("exif", None)
        more = {} if exif is None else {"exif": exif.tobytes()}
        pillow_heif.from_pillow(picture).save(out, quality=95, **options, **more)
    else:
        picture.save(out, format, **options)
    return out.getvalue()
