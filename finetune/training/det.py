"""Fine-tuning of the detector: its batches, its loss, its metric."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_lpr.architectures.heads import PFHeadLocal
from edge_lpr.architectures.registry import closest
from edge_lpr.architectures.torch_builder import TorchNetwork, load_weights
from edge_lpr.datasets.labels import LabelledPlate, Sample
from edge_lpr.errors import SettingError
from edge_lpr.evaluation.metrics import DetScore
from edge_lpr.finetune.recipe.config import TrainConfig
from edge_lpr.finetune.recipe.losses import DBLossSettings
from edge_lpr.finetune.training.distillation import Teacher, distillation_loss, settle, shared, start_weights
from edge_lpr.finetune.training.epochs import Epochs
from edge_lpr.finetune.training.losses import db_loss
from edge_lpr.finetune.training.targets import det_targets
from edge_lpr.pipeline.db_postprocess import db_boxes
from edge_lpr.types import Image, Quad, Rng

__all__ = ["DetBatch", "DetTraining"]

# Draws a scene of width×height, of the photo of a number where one is given: uint8 H×W×3 BGR, the corners of
# its texts, and which of them do not count.
SceneSource = Callable[[Rng, tuple[int, int], int | None], tuple[Image, list[Quad], list[bool]]]
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
        epochs: Which photos each step shows; None where all scenes are drawn.
        validation: Labelled scenes to measure on; where empty, drawn scenes that the training never sees are
            measured on instead.
        teacher: A detector whose maps are learnt beside the labels. With one, the weights may be of another
            network than the config describes: layers that both have are taken over, the others are drawn.

    Raises:
        SettingError: The weights are of another network than the config describes, and there is no teacher;
            or blocks are to be frozen that are new.
        ModelError: The weights do not fit.
    """

    def __init__(
        self,
        config: TrainConfig,
        weights: Mapping[str, NDArray[np.float32]],
        source: str,
        *,
        scene: SceneSource,
        epochs: Epochs | None = None,
        validation: Sequence[Sample] = (),
        teacher: Teacher | None = None,
    ) -> None:
        self.config, self.scene, self.epochs, self.metric = config, scene, epochs, config.metric
        self.teacher = teacher
        architecture, taken = closest(weights, "det"), None
        if teacher is not None and architecture.name not in config.network.names:
            architecture = config.architecture()
            taken = shared(architecture, weights)
            weights = start_weights(architecture, weights, config.seed)
        config.check(architecture, source)
        self.stride = architecture.stride
        self.refined = isinstance(architecture.network(0, True).head, PFHeadLocal)
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
        network.freeze(config.own.frozen_blocks)
        self.new_norms: Collection[str] = ()
        if taken is not None:
            norms = (name for name, m in network.named_modules() if isinstance(m, nn.BatchNorm2d))
            self.new_norms = frozenset(name for name in norms if f"{name}.weight" not in taken)
            _refuse_frozen(network, taken)
            settle(network, taken, self.batch(0).images)
            for name, parameter in network.named_parameters():
                if config.own.frozen_shared and name in taken:
                    parameter.requires_grad_(False)
        self.network: nn.Module = network
        self.validation = [s for s in validation if not s.crop and s.plates is not None]

    def __getstate__(self) -> dict[str, Any]:
        """What worker processes need: all but the networks."""
        return {**self.__dict__, "network": None, "teacher": None}

    def batch(self, step: int) -> DetBatch:
        """Makes the batch of one step."""
        rng = np.random.default_rng((self.config.seed, 1, step))
        data, epoch = self.config.det, step // max(1, self.config.epoch_steps) + 1
        size = (data.width, data.height)
        numbers = self.epochs(step) if self.epochs else [None] * data.batch
        images, maps = [], []
        for number in numbers:
            image, quads, ignored = self.scene(rng, size, number)
            targets = det_targets(quads, ignored, size[1], size[0], data.targets, epoch)
            images.append(image)
            maps.append(np.stack([targets.shrink, targets.shrink_mask, targets.border, targets.border_mask]))
        return DetBatch(torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(maps, axis=1)))

    def loss(self, network: nn.Module, batch: DetBatch) -> tuple[Tensor, dict[str, float]]:
        """DB's loss of a batch, and its parts; with a teacher its two as well."""
        assert isinstance(self.config.loss, DBLossSettings)
        device = next(network.parameters()).device
        shrink, mask, border, border_mask = batch.maps.to(device)
        images = batch.images.to(device)
        taught = partial(db_loss, settings=self.config.loss, refined=self.refined)
        if self.teacher is None:
            return taught(network(images).float(), shrink, mask, border, border_mask)
        assert isinstance(network, TorchNetwork)
        maps, features = network.with_features(images)
        loss, parts = taught(maps, shrink, mask, border, border_mask)
        learnt, more = distillation_loss(maps[:, 0], features, *self.teacher(images), shrink, mask)
        return loss + self.config.own.distillation * learnt, {**parts, **more}

    @torch.no_grad()
    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Measures boxes by PaddleOCR's DetMetric (IoU 0.5)."""
        score = DetScore()
        device = next(network.parameters()).device
        settings = self.config.postprocess
        limit = settings.det_limit_side_len
        for image, plates in self._measured():
            if settings.det_limit_type == "min":
                ratio = max(1.0, limit / min(image.shape[:2]))
            else:
                ratio = min(1.0, limit / max(image.shape[:2]))
            stride = self.stride
            height, width = (max(stride, round(v * ratio / stride) * stride) for v in image.shape[:2])
            resized = torch.from_numpy(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))
            prob = network(resized[None].to(device))[0, 0].cpu().numpy()
            boxes = db_boxes(prob, settings, image.shape[:2])
            score.add(plates, [box.corners for box in boxes])
        return {"hmean": score.hmean, "precision": score.precision, "recall": score.recall}

    def _measured(self) -> Iterator[tuple[Image, Sequence[LabelledPlate]]]:
        for sample in self.validation:
            longest = 3 * self.config.postprocess.det_limit_side_len
            yield _small(sample.read(), sample.plates or (), longest)
        if not self.validation:
            rng = np.random.default_rng((self.config.seed, 2))
            for _ in range(_RENDERED_SCENES):
                image, quads, ignored = self.scene(rng, (self.config.det.width, self.config.det.height), None)
                plates = [LabelledPlate("###" if i else "", q) for q, i in zip(quads, ignored, strict=True)]
                yield image, plates


def _refuse_frozen(network: nn.Module, taken: Collection[str]) -> None:
    new = [n for n, p in network.named_parameters() if not p.requires_grad and n not in taken]
    if new:
        raise SettingError(
            f"EdgeLPR.frozen_blocks: {new[0]} is new, and would stay as it is drawn; set frozen_blocks to 0"
        )


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
