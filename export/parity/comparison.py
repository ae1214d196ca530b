"""Whether a bundle computes what Paddle computes: the same numbers, the same boxes, the same texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend
from edge_lpr.errors import BackendError, ModelError, SourceError
from edge_lpr.io.drawing import text_mask
from edge_lpr.pipeline.ctc import greedy
from edge_lpr.pipeline.db_postprocess import db_boxes
from edge_lpr.pipeline.settings import DetectorSettings

__all__ = [
    "BOUND",
    "Comparison",
    "Image",
    "Runner",
    "compare_boxes",
    "compare_texts",
    "cut_reference",
    "normalised",
    "probe_images",
    "read_images",
]

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

BOUND = 1e-4
"""Largest difference of a probability that export accepts."""

_SAME_CORNER = 2.0
"""Pixels of the map. A pixel whose probability is 1e-5 from the threshold may fall on either side of it, and
moves a box's edge by one; rounding to whole pixels adds one more."""

_MAX_SIDE = 1600
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}


@dataclass
class Comparison:
    """What one graph's output has from Paddle's.

    Attributes:
        stage: "raw" as converted, "folded" as the bundle has it, "cut" with a head cut to a charset.
        maximum: Largest difference of a probability.
        mean: Mean difference.
        compared: Boxes or texts that were compared.
        differing: Those that differ, in words.
    """

    stage: str
    maximum: float = 0.0
    mean: float = 0.0
    compared: int = 0
    differing: list[str] = field(default_factory=list)
    _values: int = 0

    def add(self, found: Floats, wanted: Floats) -> None:
        """Adds one output.

        Args:
            found: What the graph put out.
            wanted: What Paddle put out, of the same shape.

        Raises:
            ModelError: The shapes differ.
        """
        if found.shape != wanted.shape:
            raise ModelError(f"the {self.stage} graph returns shape {found.shape}, Paddle {wanted.shape}")
        difference = np.abs(found.astype(np.float64) - wanted)
        if not np.isfinite(difference).all():
            self.maximum = float("inf")
            return
        self.maximum = max(self.maximum, float(difference.max(initial=0.0)))
        total = self._values + difference.size
        self.mean = (self.mean * self._values + float(difference.sum())) / max(total, 1)
        self._values = total

    def passed(self, bound: float) -> bool:
        """Tells whether the difference is within a bound and no box or text differs."""
        return self.maximum <= bound and not self.differing

    def as_json(self) -> dict[str, Any]:
        """Returns the values for a report; an endless difference, which JSON cannot hold, becomes text."""
        maximum: float | str = self.maximum if np.isfinite(self.maximum) else "not a number"
        return {
            "maximum": maximum,
            "mean": self.mean,
            "compared": self.compared,
            "differing": self.differing,
        }


class Runner:
    """An ONNX model in ONNX Runtime on the CPU.

    Args:
        model: The ONNX file's bytes.
    """

    def __init__(self, model: bytes) -> None:
        self._backend = OnnxRuntimeBackend(model, device="cpu")

    def __call__(self, value: NDArray[Any]) -> Floats:
        """Runs the model on one input and returns its one output."""
        try:
            (result,) = self._backend.run({self._backend.input_name: value}).values()
        except BackendError as e:
            raise ModelError(f"the converted model does not run on shape {value.shape}: {e}") from e
        return result


def normalised(batch: Image, mean: Sequence[float], std: Sequence[float]) -> Floats:
    """Returns what PaddleOCR gives its networks.

    Args:
        batch: uint8 N×H×W×3 BGR.
        mean: What is subtracted from B, G and R, in grey levels.
        std: What the difference is divided by, in grey levels.

    Returns:
        float32 N×3×H×W.
    """
    scaled = batch.astype(np.float32) / np.float32(255)
    centred = scaled - np.asarray(mean, np.float32) / np.float32(255)
    result = centred / (np.asarray(std, np.float32) / np.float32(255))
    return np.ascontiguousarray(result.transpose(0, 3, 1, 2), np.float32)


def compare_boxes(
    comparison: Comparison, found: Floats, wanted: Floats, settings: DetectorSettings, name: str
) -> list[NDArray[np.int32]]:
    """Compares the boxes that two probability maps give.

    Args:
        comparison: Where the result is added.
        found: float32 H×W of the graph.
        wanted: float32 H×W of Paddle.
        settings: Post-processing parameters.
        name: What the image is called.

    Returns:
        The boxes of Paddle's map, int32 4×2 each.
    """
    ours, _ = db_boxes(found, settings, found.shape)
    theirs, _ = db_boxes(wanted, settings, wanted.shape)
    comparison.compared += len(theirs)
    if len(ours) != len(theirs):
        comparison.differing.append(f"{name}: {len(ours)} boxes, Paddle has {len(theirs)}")
    else:
        for box in theirs:
            nearest = np.abs(ours - box).max(axis=(1, 2)).min()
            if nearest > _SAME_CORNER:
                comparison.differing.append(
                    f"{name}: no box at {box.tolist()}, the nearest is {nearest} px off"
                )
    return list(theirs)


def compare_texts(
    comparison: Comparison,
    found: Floats,
    wanted: Floats,
    charset: Sequence[str],
    unknown_class: bool,
    name: str,
) -> None:
    """Compares the texts that two posteriors give when they are decoded greedily.

    Args:
        comparison: Where the result is added.
        found: float32 T×C of the graph.
        wanted: float32 T×C of Paddle.
        charset: Class i is `charset[i - 1]`.
        unknown_class: Whether one more class stands for all other characters.
        name: What the crop is called.
    """
    ours, _ = greedy(found, charset, unknown_class)
    theirs, _ = greedy(wanted, charset, unknown_class)
    comparison.compared += 1
    if ours != theirs:
        comparison.differing.append(f"{name}: {ours!r}, Paddle reads {theirs!r}")


def cut_reference(probs: Floats, keep: Sequence[int]) -> Floats:
    """Cuts Paddle's posterior as the bundle's head is cut.

    Args:
        probs: float32 N×T×C.
        keep: Classes to keep, in their new order.

    Returns:
        float32 N×T×(len(keep) + 1); the last class has the sum of those that were dropped.
    """
    dropped = np.ones(probs.shape[-1], bool)
    dropped[list(keep)] = False
    rest = probs[..., dropped].sum(axis=-1, keepdims=True, dtype=np.float64)
    return np.concatenate([probs[..., list(keep)], rest.astype(np.float32)], axis=-1)


def read_images(folder: Path, limit: int) -> dict[str, Image]:
    """Reads images for a comparison.

    Args:
        folder: Its images are taken in the order of their names; folders inside are not looked into.
        limit: At most so many, spread evenly over the folder.

    Returns:
        uint8 H×W×3 BGR by file name; no side is longer than 1600 pixels.

    Raises:
        SourceError: No such folder, or no image in it that can be read.
    """
    try:
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and p.is_file())
    except OSError as e:
        raise SourceError(f"{folder}: cannot be read ({e.strerror or e}); expected a folder of images") from e
    chosen = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, min(limit, len(files))).astype(int))]
    images: dict[str, Image] = {}
    for file in chosen:
        image = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR) if file.stat().st_size else None
        if image is None:
            continue
        scale = _MAX_SIDE / max(image.shape[:2])
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        images[file.name] = image.astype(np.uint8)
    if not images:
        raise SourceError(f"{folder}: no image in it that can be read")
    return images


def probe_images(count: int, seed: int = 7) -> dict[str, Image]:
    """Draws images with text and a plate for a comparison, where the user gives none.

    A detector that was fine-tuned on plates finds only those, one that was not finds text.

    Args:
        count: How many.
        seed: The same seed draws the same images.

    Returns:
        uint8 H×W×3 BGR by name, between 480×640 and 720×1280 pixels.
    """
    return dict(_probes(count, np.random.default_rng(seed)))


def _probes(count: int, random: np.random.Generator) -> Iterator[tuple[str, Image]]:
    letters = np.array(list("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"))
    for i in range(count):
        height, width = ((480, 640), (720, 1280), (720, 960))[i % 3]
        coarse = random.integers(0, 256, (height // 80, width // 80, 3), np.uint8)
        image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        for _ in range(4):
            text = "".join(random.choice(letters, 7))
            scale = float(random.uniform(1.0, 2.5))
            (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 3)
            x, y = int(random.integers(5, width - w - 5)), int(random.integers(h + 15, height - 15))
            dark = tuple(int(v) for v in random.integers(0, 120, 3))
            cv2.rectangle(image, (x - 8, y - h - 8), (x + w + 8, y + 8), dark, -1)
            cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (250, 250, 250), 3, cv2.LINE_AA)
        plate = _plate("".join(random.choice(letters, 5)))
        x, y = int(random.integers(5, width - 325)), int(random.integers(5, height - 107))
        image[y : y + 102, x : x + 320] = plate
        noise = random.normal(0, 6, image.shape)
        yield f"drawn {i + 1}", np.clip(image + noise, 0, 255).astype(np.uint8)


def _plate(serial: str) -> Image:
    """Draws a flat blue plate, 102×320 pixels."""
    plate = np.full((102, 320, 3), (170, 75, 15), np.uint8)
    cv2.rectangle(plate, (5, 5), (314, 96), (245, 245, 245), 2, cv2.LINE_AA)
    letters = cv2.resize(text_mask(f"京A·{serial}", 72), (284, 66), interpolation=cv2.INTER_AREA)
    share = letters[..., None] / np.float32(255)
    field = plate[18:84, 18:302]
    field[:] = (field * (1 - share) + 245 * share).astype(np.uint8)
    return plate
