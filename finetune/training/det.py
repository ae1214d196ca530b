"""Fine-tuning of the detector: its batches, its loss, its metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_lpr.architectures.registry import closest
from edge_lpr.architectures.torch_builder import TorchNetwork, load_weights
from edge_lpr.datasets.labels import LabelledPlate, Sample
from edge_lpr.evaluation.metrics import DetScore
from edge_lpr.finetune.training.config import TrainConfig
from edge_lpr.finetune.training.losses import db_loss
from edge_lpr.finetune.training.targets import det_targets
from edge_lpr.pipeline.db_postprocess import db_boxes
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.types import Image, Quad, Rng

__all__ = ["DetBatch", "DetTraining"]

# Draws a scene of width×height: uint8 H×W×3 BGR, the corners of its texts, and which of them do not count.
SceneSource = Callable[[Rng, tuple[int, int]], tuple[Image, list[Quad], list[bool]]]
_RENDERED_SCENES = 64


@dataclass(frozen=True, eq=False)
class DetBatch:
    """Scenes and DB's targets.

    Attributes:
        images: uint8 N×H×W×3 BGR.
        maps: float32 4×N×H×W: shrunk texts, their mask, border, its mask.
    """

    images: Tensor
    maps: Tensor


class DetTraining:
    """The detector as a `trainer.TrainingTask`.

    Args:
        config: The run's settings.
        weights: Start weights under PaddleOCR's names. The threshold branch may be missing (it is in no
            inference model): it then begins as the probability branch, which has found the texts' borders,
            with a last layer that returns one half everywhere.
        source: What error messages call the weights.
        scene: Draws what is trained on.
        validation: Labelled scenes to measure on; where empty, drawn scenes that the training never sees are
            measured on instead.
    """

    metric = "hmean"

    def __init__(
        self,
        config: TrainConfig,
        weights: Mapping[str, NDArray[np.float32]],
        source: str,
        *,
        scene: SceneSource,
        validation: Sequence[Sample] = (),
    ) -> None:
        self.config, self.scene = config, scene
        architecture = closest(weights, "det")
        config.check(architecture)
        self.stride = architecture.stride
        network = TorchNetwork(architecture)
        # DB's two branches have the same layers: what finds texts, and what only training needs.
        binarize, threshold = architecture.head.removesuffix("conv1.weight"), architecture.training_only[0]
        arrays = {
            name.replace(binarize, threshold): value
            for name, value in weights.items()
            if name.startswith(binarize)
        }
        # The probability branch's own last layer is certain nearly everywhere: no gradient comes through it.
        for name in (f"{threshold}conv3.weight", f"{threshold}conv3.bias"):
            if name in arrays:
                arrays[name] = np.zeros_like(arrays[name])
        load_weights(network, {**arrays, **weights}, source=source)
        network.freeze(config.frozen_blocks)
        self.network: nn.Module = network
        self.validation = [s for s in validation if not s.crop and s.plates is not None]

    def __getstate__(self) -> dict[str, Any]:
        """What worker processes need: all but the network."""
        return {**self.__dict__, "network": None}

    def batch(self, step: int) -> DetBatch:
        """Makes the batch of one step."""
        rng = np.random.default_rng((self.config.seed, 1, step))
        size = (self.config.width, self.config.height)
        images, maps = [], []
        for _ in range(self.config.batch):
            image, quads, ignored = self.scene(rng, size)
            targets = det_targets(quads, ignored, size[1], size[0])
            images.append(image)
            maps.append(np.stack([targets.shrink, targets.shrink_mask, targets.border, targets.border_mask]))
        return DetBatch(torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(maps, axis=1)))

    def loss(self, network: nn.Module, batch: DetBatch) -> tuple[Tensor, dict[str, float]]:
        """DB's loss of a batch, and its three parts."""
        device = next(network.parameters()).device
        shrink, mask, border, border_mask = batch.maps.to(device)
        maps = network(batch.images.to(device))
        return db_loss(maps.float(), shrink, mask, border, border_mask)

    @torch.no_grad()
    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Measures boxes by PaddleOCR's DetMetric (IoU 0.5); `det_limit_side_len` is the training height."""
        score = DetScore()
        device = next(network.parameters()).device
        settings = DetectorSettings()
        for image, plates in self._measured():
            ratio = max(1.0, self.config.height / min(image.shape[:2]))
            stride = self.stride
            height, width = (max(stride, round(v * ratio / stride) * stride) for v in image.shape[:2])
            resized = torch.from_numpy(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))
            prob = network(resized[None].to(device))[0, 0].cpu().numpy()
            boxes = db_boxes(prob, settings, image.shape[:2])
            score.add(plates, [box.corners for box in boxes])
        return {"hmean": score.hmean, "precision": score.precision, "recall": score.recall}

    def _measured(self) -> Iterator[tuple[Image, Sequence[LabelledPlate]]]:
        for sample in self.validation:
            yield _small(sample.read(), sample.plates or (), 3 * self.config.height)
        if not self.validation:
            rng = np.random.default_rng((self.config.seed, 2))
            for _ in range(_RENDERED_SCENES):
                image, quads, ignored = self.scene(rng, (self.config.width, self.config.height))
                plates = [LabelledPlate("###" if i else "", q) for q, i in zip(quads, ignored, strict=True)]
                yield image, plates


def _small(image: Image, plates: Sequence[LabelledPlate], longest: int) -> tuple[Image, list[LabelledPlate]]:
    """Bounds a validation image's longer side, so that an evaluation takes no longer than some steps."""
    factor = longest / max(image.shape[:2])
    if factor >= 1:
        return image, list(plates)
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    smaller = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    scaled = [
        p._replace(corners=None if p.corners is None else p.corners * np.float32(factor)) for p in plates
    ]
    return smaller, scaled
