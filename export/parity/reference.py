"""What Paddle returned for a few images, kept in the bundle, so that it can be verified where Paddle is not.

`reference.npz` holds small images and crops (uint8, as the graphs take them) and Paddle's outputs for them,
rounded to 1e-6, as the bundle's graphs have them: `det_in_0`, `det_out_0`, …, `rec_in_0`, `rec_out_0`, ….
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from edge_lpr.bundle.manifest import Bundle
from edge_lpr.errors import BundleError, one_line
from edge_lpr.export.parity.comparison import (
    Comparison,
    Floats,
    Runner,
    compare_boxes,
    compare_texts,
)
from edge_lpr.export.parity.images import probe_images, scenes
from edge_lpr.geometry import crop_quad
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.precisions import REFERENCE
from edge_lpr.types import Image

__all__ = [
    "REFERENCE_FILE",
    "check_reference",
    "pack_reference",
    "read_reference",
    "reference_crops",
    "reference_images",
]

REFERENCE_FILE = "reference.npz"
_DECIMALS = 6
_MAX_BYTES = 64 << 20
_MAX_ARRAY_BYTES = 64 << 20


def reference_images() -> list[Image]:
    """Returns the images for detection, uint8 256×320×3 BGR: scenes with a plate, and drawn text."""
    (drawn,) = probe_images(1, seed=11).values()
    text = cv2.resize(drawn, (320, 256), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return [*(scene.image for scene in scenes()), text]


def reference_crops(height: int, width: int) -> list[Image]:
    """Returns the crops for recognition, uint8 height×width×3 BGR: the scenes' plates, and drawn text."""
    tiles = [crop_quad(scene.image, scene.corners) for scene in scenes()]
    tiles += [reference_images()[-1][y : y + height] for y in (0, height)]
    return [cv2.resize(t, (width, height)).astype(np.uint8) for t in tiles]


def pack_reference(det: Sequence[tuple[Image, Floats]], rec: Sequence[tuple[Image, Floats]]) -> bytes:
    """Packs inputs and Paddle's outputs.

    Args:
        det: uint8 H×W×3 and float32 H×W.
        rec: uint8 height×width×3 and float32 T×C, the classes those of the bundle.

    Returns:
        The bytes of `reference.npz`.
    """
    arrays: dict[str, Image | Floats] = {}
    for part, pairs in (("det", det), ("rec", rec)):
        for i, (given, taken) in enumerate(pairs):
            arrays[f"{part}_in_{i}"] = given
            arrays[f"{part}_out_{i}"] = np.round(taken, _DECIMALS)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def check_reference(bundle: Bundle) -> tuple[Comparison, Comparison]:
    """Compares a bundle's fp32 graphs with what Paddle returned when the bundle was made.

    Args:
        bundle: The bundle.

    Returns:
        The comparisons of detection and recognition.

    Raises:
        BundleError: The bundle has no reference, or a damaged one.
    """
    pairs = read_reference(bundle.path / REFERENCE_FILE)
    det, rec = Comparison("bundle"), Comparison("bundle")
    settings = DetectorSettings.for_model(bundle.det)
    run = Runner(bundle.model("det", REFERENCE).read())
    for i, (given, wanted) in enumerate(pairs["det"]):
        found = run(given[None])[0]
        det.add(found, wanted, partial(run.rounding, given[None], found[None]), [f"reference {i}"])
        compare_boxes(det, found, wanted, settings, f"reference {i}")
    run = Runner(bundle.model("rec", REFERENCE).read())
    for i, (given, wanted) in enumerate(pairs["rec"]):
        found = run(given[None])[0]
        rec.add(found, wanted, partial(run.rounding, given[None], found[None]), [f"reference {i}"])
        compare_texts(rec, found, wanted, bundle.rec.charset, bundle.rec.unknown_class, f"reference {i}")
    return det, rec


def read_reference(path: Path) -> dict[str, list[tuple[Image, Floats]]]:
    """Reads the reference of a bundle.

    Returns:
        For "det" and "rec", inputs and what the model is to return for each.

    Raises:
        BundleError: There is none, or it is damaged or too large.
    """
    wrong = f"{path}: no reference to verify the bundle with"
    missing = f"{wrong}; give the Paddle models it was made from with --det and --rec"
    data = read_bounded(path, _MAX_BYTES, "a reference that export wrote", BundleError, missing=missing)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # An archive says how large it unpacks; a small file can claim to be a huge array.
            unpacked = sum(entry.file_size for entry in archive.infolist())
        pairs = {} if unpacked > _MAX_ARRAY_BYTES else _pairs(data)
    except Exception as e:  # an archive that was made up or damaged can raise anything at all
        raise BundleError(f"{path}: damaged ({one_line(e, 120)}); export the bundle again") from e
    if unpacked > _MAX_ARRAY_BYTES:
        raise BundleError(f"{path}: unpacks to more than {_MAX_ARRAY_BYTES >> 20} MiB")
    if not pairs["det"] or not pairs["rec"]:
        raise BundleError(f"{wrong}: it is empty; export the bundle again")
    return pairs


def _pairs(data: bytes) -> dict[str, list[tuple[Image, Floats]]]:
    pairs: dict[str, list[tuple[Image, Floats]]] = {"det": [], "rec": []}
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        for part, found in pairs.items():
            while f"{part}_in_{len(found)}" in arrays.files:
                i = len(found)
                found.append((arrays[f"{part}_in_{i}"], arrays[f"{part}_out_{i}"]))
    return pairs
