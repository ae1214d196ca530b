"""What a detector finds of small plates in INT8 and in FP32: the plates that rounding loses first.

The budget of accuracy is tenths of a point. One or two hundred scenes as they are, most of whose plates are
large, cannot tell that: of 175 plates the default bundle's first INT8 for a CPU lost none, and of 67 others
2 small ones. So each labelled plate is also shown at heights that FP32 finds only some of, and what either
model finds alone is counted in pairs: several hundred of them, of the plates that are near to being lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import onnx

from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend
from edge_lpr.bundle.manifest import DetSpec
from edge_lpr.datasets.labels import Sample
from edge_lpr.evaluation.metrics import IOU, countable
from edge_lpr.evaluation.significance import Paired, compare_pairs
from edge_lpr.geometry import iou_matrix, side_lengths
from edge_lpr.pipeline.detector import Detector
from edge_lpr.types import Image, Quad, Tick

__all__ = ["HEIGHTS", "SmallPlate", "compare_small_plates", "small_plates"]

HEIGHTS = (9, 12, 16)
"""Heights in pixels of the network's input: the default detector finds few plates of the first."""
_SIDE = 192
_BATCH = 8


@dataclass(frozen=True, eq=False)
class SmallPlate:
    """A labelled plate with its surroundings, shrunk.

    Attributes:
        image: uint8 S×S×3 BGR; black where the picture ends.
        corners: Those of the plate in it, float32 4×2.
    """

    image: Image
    corners: Quad


def small_plates(samples: Sequence[Sample], stride: int) -> Iterator[SmallPlate]:
    """Shrinks each labelled plate to each of `HEIGHTS`; one that is smaller as it is is left out.

    Args:
        samples: Labelled scenes.
        stride: What the side of the network's input is a multiple of, in pixels.

    Raises:
        InputError: An image cannot be read.
    """
    side = -(-_SIDE // stride) * stride
    for sample in samples:
        plates = [plate for plate in sample.plates or () if countable(plate)]
        image = sample.read() if plates else None
        for plate in plates:
            assert image is not None and plate.corners is not None
            height = float(side_lengths(plate.corners)[1::2].mean())
            for wanted in HEIGHTS:
                if height >= wanted:
                    yield _shrunk(image, plate.corners, wanted / height, side)


def compare_small_plates(
    spec: DetSpec,
    reference: onnx.ModelProto,
    model: onnx.ModelProto,
    samples: Sequence[Sample],
    tick: Tick | None = None,
) -> Paired:
    """Compares what two detectors find of small plates, at IoU 0.5.

    Args:
        spec: Input and output of both, and how boxes are made of their maps.
        reference: The FP32 model.
        model: The other.
        samples: Labelled scenes.
        tick: Called with a number of plates as they are done.

    Raises:
        InputError: An image cannot be read.
        BackendError: A network failed.
    """
    detectors = [
        Detector(OnnxRuntimeBackend(m.SerializeToString(), device="cpu"), spec) for m in (reference, model)
    ]
    plates = list(small_plates(samples, spec.stride))
    found: list[dict[str, bool]] = [{} for _ in detectors]
    for start in range(0, len(plates), _BATCH):
        part = plates[start : start + _BATCH]
        for detector, right in zip(detectors, found, strict=True):
            sizes = [(plate.image.shape[0], plate.image.shape[1]) for plate in part]
            boxes = detector.detect_batch([plate.image for plate in part], sizes=sizes)
            for i, (plate, near) in enumerate(zip(part, boxes, strict=True), start):
                overlap = iou_matrix([plate.corners], [box.corners for box in near])
                right[str(i)] = bool((overlap >= IOU).any())
        if tick is not None:
            tick(len(part))
    return compare_pairs(*found)


def _shrunk(image: Image, corners: Quad, ratio: float, side: int) -> SmallPlate:
    """Shrinks an image, and cuts the plate's surroundings out of it."""
    height, width = (max(1, round(size * ratio)) for size in image.shape[:2])
    shrunk = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    place = corners * np.array([width / image.shape[1], height / image.shape[0]], np.float32)
    left, top = (
        int(np.clip(middle - side / 2, 0, max(size - side, 0)))
        for middle, size in zip(place.mean(axis=0), (width, height), strict=True)
    )
    window = np.zeros((side, side, 3), np.uint8)
    part = shrunk[top : top + side, left : left + side]
    window[: part.shape[0], : part.shape[1]] = part
    return SmallPlate(window, np.asarray(place - np.array([left, top]), np.float32))
