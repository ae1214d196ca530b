"""What detector and recognizer are for, on fixed images: the figures that lead a search."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

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
from edge_lpr.types import Batch, Image, Probs, Tick

__all__ = ["DetObjective", "Objective", "RecObjective", "det_objective", "rec_objective", "window"]

# Images and crops that a distance is measured on: a mean over many pixels and steps is steady on few.
PROBE_SCENES, PROBE_CROPS = 12, 64
READ_BATCH = 32
# Side in pixels of the part of a scene that a distance is measured on: a multiple of any DB network's stride.
WINDOW = 640
STRIDE = 32
# A pixel of the map belongs to text above this probability: DB's own threshold.
TEXT = 0.3


class Objective(Protocol):
    """What a network is for, on fixed images.

    Attributes:
        metric: What its accuracy is called in `bundle.json`.
        items: Plates that accuracy is a share of. One more or less is chance: layers are not given up for it.
        tick: Called with a number of images as they are done; None for nobody.
    """

    metric: str
    tick: Tick | None

    @property
    def items(self) -> int:
        """See the class."""
        ...

    def distance(self, model: onnx.ModelProto) -> float:
        """Returns how far the output moves from FP32's on a few images, 0 or more."""
        ...

    def accuracy(self, model: onnx.ModelProto) -> float:
        """Returns the accuracy on the validation images, 0 to 1."""
        ...


def window(batch: Batch, prob: NDArray[np.float32]) -> Batch:
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
        spec: The detector's input, output and sizes.
        samples: Labelled scenes for the accuracy.
        inputs: Network inputs, uint8 1×H×W×3, for the distance.
        references: FP32's maps on them, float32 1×H×W.
        tick: Called with 1 after each image.
    """

    spec: DetSpec
    samples: Sequence[Sample]
    inputs: Sequence[Batch]
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
            prob = backend.run({self.spec.input_name: image})[self.spec.output_name]
            change += float(np.abs(prob - reference).mean())
            total += float(reference.mean())
            if self.tick is not None:
                self.tick(1)
        return change / max(total, 1e-12)

    def accuracy(self, model: onnx.ModelProto) -> float:
        """Returns hmean at IoU 0.5."""
        detector = Detector(OnnxRuntimeBackend(model.SerializeToString(), device="cpu"), self.spec)
        result = evaluate_det(lambda i: [b.corners for b in detector.detect(i)], self.samples, self.tick)
        return result.all.hmean


@dataclass
class RecObjective:
    """Recognition: share of plates read exactly, mean change of the class probabilities.

    Attributes:
        spec: The recognizer's input, output and classes.
        crops: Plates cut out, uint8 h×w×3 BGR, for the accuracy.
        texts: What they show.
        probes: Crops for the distance.
        references: FP32's probabilities on them, float32 T×C each.
        tick: Called with a number of plates as they are done.
    """

    spec: RecSpec
    crops: Sequence[Image]
    texts: Sequence[str]
    probes: Sequence[Image]
    references: Sequence[Probs]
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
        decoder = PlateDecoder(self.spec.charset, self.spec.unknown_class)
        score = RecScore()
        for probs, text in zip(self._read(model, self.crops), self.texts, strict=True):
            score.add(text, decoder.decode(probs).text)
        return score.acc

    def _read(self, model: onnx.ModelProto, crops: Sequence[Image]) -> list[Probs]:
        recognizer = Recognizer(OnnxRuntimeBackend(model.SerializeToString(), device="cpu"), self.spec)
        found = []
        for start in range(0, len(crops), READ_BATCH):
            part = crops[start : start + READ_BATCH]
            found += recognizer.probabilities(part)
            if self.tick is not None:
                self.tick(len(part))
        return found


def det_objective(
    spec: DetSpec,
    model: onnx.ModelProto,
    inputs: Sequence[Batch],
    maps: Sequence[NDArray[np.float32]],
    samples: Sequence[Sample],
) -> DetObjective:
    """Chooses what a detector's distance is measured on.

    Args:
        spec: Its input, output and sizes.
        model: The FP32 model.
        inputs: What it was given of the calibration images, uint8 1×H×W×3 each.
        maps: What it returned, float32 1×H×W each.
        samples: Labelled scenes for the accuracy.
    """
    # The images are in the order of their names, so neighbours are alike.
    step = max(1, len(inputs) // PROBE_SCENES)
    probes = slice(0, step * PROBE_SCENES, step)
    windows = list(map(window, inputs[probes], maps[probes]))
    backend = OnnxRuntimeBackend(model.SerializeToString(), device="cpu")
    references = [backend.run({spec.input_name: part})[spec.output_name] for part in windows]
    return DetObjective(spec, samples, windows, references)


def rec_objective(
    spec: RecSpec,
    model: onnx.ModelProto,
    crops: Sequence[Image],
    plates: Sequence[tuple[Image, str]],
    seed: int,
) -> RecObjective:
    """Chooses what a recognizer's distance is measured on.

    Args:
        spec: Its input, output and classes.
        model: The FP32 model.
        crops: The calibration crops, uint8 h×w×3 BGR.
        plates: Crops and texts for the accuracy.
        seed: Of the choice among the crops.
    """
    probes = random.Random(seed).sample(list(crops), min(PROBE_CROPS, len(crops)))
    recognizer = Recognizer(OnnxRuntimeBackend(model.SerializeToString(), device="cpu"), spec)
    images, texts = zip(*plates, strict=True) if plates else ((), ())
    return RecObjective(spec, images, texts, probes, recognizer.probabilities(probes))
