"""What detector and recognizer are for, on fixed images: the figures that lead a search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend
from edge_lpr.bundle.manifest import DetSpec, RecSpec
from edge_lpr.datasets.labels import Sample
from edge_lpr.evaluation.evaluate import evaluate_det
from edge_lpr.evaluation.metrics import RecScore
from edge_lpr.pipeline.ctc import PlateDecoder
from edge_lpr.pipeline.detector import Detector
from edge_lpr.pipeline.recognizer import Recognizer
from edge_lpr.types import Image

Tick = Callable[[int], None]
# Side in pixels of the part of a scene that a distance is measured on: a multiple of any DB network's stride.
WINDOW = 640
STRIDE = 32
# A pixel of the map belongs to text above this probability: DB's own threshold.
TEXT = 0.3


def window(batch: NDArray[np.uint8], prob: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Cuts the part of a detector's input that shows text: a distance is as good there, and comes faster.

    Args:
        batch: uint8 1×H×W×3.
        prob: FP32's map of it, float32 1×H×W.

    Returns:
        uint8 1×h×w×3, no side over `WINDOW`, at a multiple of the networks' stride.
    """
    height, width = prob.shape[1:]
    rows, columns = np.nonzero(prob[0] > TEXT)
    centre = (rows.mean(), columns.mean()) if len(rows) else (height / 2, width / 2)
    top, left = (
        int(np.clip(middle - WINDOW / 2, 0, max(size - WINDOW, 0))) // STRIDE * STRIDE
        for middle, size in zip(centre, (height, width), strict=True)
    )
    return np.ascontiguousarray(batch[:, top : top + WINDOW, left : left + WINDOW])


@dataclass
class DetObjective:
    """Detection: hmean on labelled scenes, mean change of the probability map.

    Attributes:
        model: What the network eats.
        samples: Labelled scenes for the accuracy.
        inputs: Network inputs, uint8 1×H×W×3, for the distance.
        references: FP32's maps on them, float32 1×H×W.
        tick: Called with 1 after each image.
    """

    model: DetSpec
    samples: Sequence[Sample]
    inputs: Sequence[NDArray[np.uint8]]
    references: Sequence[NDArray[np.float32]]
    tick: Tick | None = None
    metric: str = field(default="hmean", init=False)

    @property
    def items(self) -> int:
        """Labelled plates."""
        return max(1, sum(not plate.ignored for s in self.samples for plate in s.plates or ()))

    def distance(self, model: onnx.ModelProto) -> float:
        """Returns the mean change of the maps, as a share of their mean."""
        backend = OnnxRuntimeBackend(model.SerializeToString(), device="cpu")
        change = total = 0.0
        for image, reference in zip(self.inputs, self.references, strict=True):
            prob = backend.run({self.model.input_name: image})[self.model.output_name]
            change += float(np.abs(prob - reference).mean())
            total += float(reference.mean())
            if self.tick is not None:
                self.tick(1)
        return change / max(total, 1e-12)

    def accuracy(self, model: onnx.ModelProto) -> float:
        """Returns hmean at IoU 0.5."""
        detector = Detector(OnnxRuntimeBackend(model.SerializeToString(), device="cpu"), self.model)
        result = evaluate_det(lambda i: [b.corners for b in detector.detect(i)], self.samples, self.tick)
        return result.all.hmean


@dataclass
class RecObjective:
    """Recognition: share of plates read exactly, mean change of the class probabilities.

    Attributes:
        model: What the network eats.
        crops: Plates cut out, uint8 h×w×3 BGR, for the accuracy.
        texts: What they show.
        probes: Crops for the distance.
        references: FP32's probabilities on them, float32 T×C each.
        tick: Called with a number of plates as they are done.
    """

    model: RecSpec
    crops: Sequence[Image]
    texts: Sequence[str]
    probes: Sequence[Image]
    references: Sequence[NDArray[np.float32]]
    tick: Tick | None = None
    metric: str = field(default="exact text", init=False)

    @property
    def items(self) -> int:
        """Labelled plates."""
        return max(1, len(self.texts))

    def distance(self, model: onnx.ModelProto) -> float:
        """Returns the mean total variation between the class probabilities of a step, 0 to 1."""
        changes = [
            float(np.abs(probs - reference).sum(axis=1).mean()) / 2
            for probs, reference in zip(self._read(model, self.probes), self.references, strict=True)
        ]
        return float(np.mean(changes))

    def accuracy(self, model: onnx.ModelProto) -> float:
        """Returns the share of plates whose whole text the plate decoder gets right."""
        decoder = PlateDecoder(self.model.charset, self.model.unknown_class)
        score = RecScore()
        for probs, text in zip(self._read(model, self.crops), self.texts, strict=True):
            score.add(text, decoder.decode(probs).text)
        return score.acc

    def _read(self, model: onnx.ModelProto, crops: Sequence[Image]) -> list[NDArray[np.float32]]:
        recognizer = Recognizer(OnnxRuntimeBackend(model.SerializeToString(), device="cpu"), self.model)
        found = []
        for start in range(0, len(crops), 32):
            part = crops[start : start + 32]
            found += recognizer.probabilities(part)
            if self.tick is not None:
                self.tick(len(part))
        return found
