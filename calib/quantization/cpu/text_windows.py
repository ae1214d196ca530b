"""Where a detector's INT8 is compared with its FP32: around small plates, which rounding loses first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend
from edge_lpr.calib.quantization.cpu.small_plates import small_plates
from edge_lpr.calib.quantization.objectives import TEXT, DetObjective
from edge_lpr.datasets.labels import Sample
from edge_lpr.types import Batch

__all__ = ["TextWindow", "near_text", "text_windows"]


@dataclass(frozen=True, eq=False)
class TextWindow:
    """A part of a scene.

    Attributes:
        image: For the network's input, uint8 1×H×W×3.
        prob: What FP32 makes of it, float32 1×H×W.
    """

    image: Batch
    prob: NDArray[np.float32]


def text_windows(
    objective: DetObjective, model: onnx.ModelProto, scenes: Sequence[Sample], count: int
) -> list[TextWindow]:
    """Chooses small plates of which FP32 sees something; the objective's own windows where there are none.

    Args:
        objective: What the detector is for.
        model: The FP32 model.
        scenes: Scenes whose plates are known.
        count: How many at most, taken at even distances.

    Raises:
        InputError: An image cannot be read.
    """
    spec = objective.spec
    backend = OnnxRuntimeBackend(model.SerializeToString(), device="cpu")
    images = [plate.image[None] for plate in small_plates(scenes, spec.stride)]
    windows = [TextWindow(image, backend.run({spec.input_name: image})[spec.output_name]) for image in images]
    seen = [window for window in windows if (window.prob > TEXT).any()]
    if not seen:
        return list(map(TextWindow, objective.inputs, objective.references))
    return [seen[i] for i in np.linspace(0, len(seen) - 1, min(count, len(seen))).astype(int)]


def near_text(prob: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Marks text and what is around it.

    Args:
        prob: A map, float32 N×H×W.
        reach: Pixels around text that are marked, too.

    Returns:
        float32 of its shape, 1 where it is marked, else 0.
    """
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    marked = [cv2.dilate((one > TEXT).astype(np.uint8), kernel) for one in prob]
    return np.asarray(marked, np.float32)
