"""Fine-tuning of the recognizer: its head, its batches, its metric."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_lpr.architectures.registry import Architecture, closest
from edge_lpr.architectures.torch_builder import TorchNetwork, load_weights
from edge_lpr.datasets.dictionary import UNKNOWN_LINE
from edge_lpr.datasets.labels import Sample
from edge_lpr.errors import EdgeLprError, InputError, ModelError
from edge_lpr.finetune.recipe.config import TrainConfig
from edge_lpr.finetune.recipe.losses import RecLossSettings
from edge_lpr.finetune.recipe.scales import Scale
from edge_lpr.finetune.synthesis import corruptions
from edge_lpr.finetune.synthesis.negatives import TextRenderer
from edge_lpr.finetune.synthesis.rec_augment import bring_to_height, rec_con_aug
from edge_lpr.finetune.synthesis.render.view import sample_slant, slanted
from edge_lpr.finetune.training.epochs import Epochs, ScaledEpochs
from edge_lpr.finetune.training.guides import PREFIXES, GuidedNetwork, cut_guide_weights
from edge_lpr.finetune.training.losses import ctc_loss
from edge_lpr.geometry import crop_quad, whole
from edge_lpr.pipeline.ctc import UNKNOWN, PlateDecoder, greedy_path
from edge_lpr.pipeline.recognizer import fit_crop
from edge_lpr.plates import PLATE_CHARSET
from edge_lpr.plates.characters import DOT
from edge_lpr.plates.colour import colour_shares
from edge_lpr.plates.two_line import may_show_two_rows, unfold_rows
from edge_lpr.types import Image, Quad, Rng

__all__ = [
    "HEAD_CHARSET",
    "UNKNOWN_LINE",
    "RecBatch",
    "RecTraining",
    "cut_head_weights",
    "encode",
    "jitter_corners",
    "plates_of",
]

# Draws a plate as a detector would cut it out: uint8 H×W×3 BGR and its text.
CropSource = Callable[[Rng], tuple[Image, str]]

# The dot is taught as a blank: it is no part of a plate's text.
HEAD_CHARSET: tuple[str, ...] = tuple(c for c in PLATE_CHARSET if c != DOT)
_EVALUATION_BATCH = 64
_RENDERED_CROPS = 256
# Share of pixels that are yellow on a yellow plate in poor light.
_YELLOW = 0.3


@dataclass(frozen=True, eq=False)
class RecBatch:
    """Crops and what stands on them.

    Attributes:
        images: uint8 N×height×W×3 BGR.
        targets: int64 N×L class indices, padded with 0.
        lengths: int64 N.
        valid: float32 N, the share of each width that is not padding.
    """

    images: Tensor
    targets: Tensor
    lengths: Tensor
    valid: Tensor


def cut_head_weights(
    arrays: Mapping[str, NDArray[np.float32]], characters: Sequence[str], source: str
) -> dict[str, NDArray[np.float32]]:
    """Cuts a CTC head to the blank, the plate characters and one class for all others.

    The row of the unknown class begins as the mean of the dropped rows with log(their number) added to its
    bias: the largest linear function below the log-sum-exp of the dropped logits (Jensen). Training does the
    rest.

    Args:
        arrays: A recognizer's weights under PaddleOCR's names.
        characters: Characters of the head's classes 1, 2, …; a last `UNKNOWN_LINE` says that it is cut
            already.
        source: What error messages call the weights.

    Returns:
        The weights with the head cut; the same weights where it is cut already.

    Raises:
        ModelError: Head and characters do not fit each other, or a plate character is missing.
    """
    architecture = closest(arrays, "rec")
    fc = architecture.head.removesuffix("weight")
    if f"{fc}weight" not in arrays or f"{fc}bias" not in arrays:
        raise ModelError(
            f"{source}: no parameter {fc}weight, so this is no checkpoint of {architecture.name}"
        )
    weight, bias = arrays[f"{fc}weight"], arrays[f"{fc}bias"]
    spaced = len(characters) + 2 == len(bias)
    if bias.ndim != 1 or weight.shape[1:] != bias.shape or not (spaced or len(characters) + 1 == len(bias)):
        raise ModelError(
            f"{source}: the head has {bias.size} classes, the dictionary makes {len(characters) + 1} "
            "with the blank: give the dictionary that it was trained with"
        )
    if tuple(characters) == (*HEAD_CHARSET, UNKNOWN_LINE):
        return dict(arrays)
    at = {c: i for i, c in enumerate(characters, 1)}
    missing = [c for c in HEAD_CHARSET if c not in at]
    if missing:
        raise ModelError(f"{source}: the dictionary lacks {''.join(missing)!r}, which plates use")
    kept = [0, *(at[c] for c in HEAD_CHARSET)]
    dropped = np.setdiff1d(np.arange(len(bias)), kept)
    unknown_w = weight[:, dropped].mean(1, keepdims=True) if len(dropped) else np.zeros_like(weight[:, :1])
    unknown_b = bias[dropped].mean() + np.log(len(dropped)) if len(dropped) else np.float32(-10)
    return {
        **cut_guide_weights(arrays, np.array(kept[1:], np.int64) - 1, dropped - 1),
        f"{fc}weight": np.concatenate([weight[:, kept], unknown_w], 1).astype(np.float32),
        f"{fc}bias": np.append(bias[kept], unknown_b).astype(np.float32),
    }


def encode(text: str) -> list[int]:
    """Returns the classes of a text; a character outside of `HEAD_CHARSET` is of the unknown class."""
    at = {c: i for i, c in enumerate(HEAD_CHARSET, 1)}
    return [at.get(c, len(HEAD_CHARSET) + 1) for c in text]


def jitter_corners(corners: Quad, rng: Rng, amount: float = 1.0) -> Quad:
    """Moves the corners of a plate as far as detectors put them wrong.

    Args:
        corners: float32 4×2, tl-tr-br-bl.
        rng: Source of randomness.
        amount: Scales all of it; 0 returns the corners.

    Returns:
        float32 4×2: grown or shrunk by some percent, each corner moved a little by itself.
    """
    across = (corners[1] - corners[0] + corners[2] - corners[3]) / 2
    down = (corners[3] - corners[0] + corners[2] - corners[1]) / 2
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
    # Of the plate's own width and height; a side that cuts into the letters is rare, a loose one is common.
    grow = rng.normal((0.015, 0.05), (0.025, 0.07), (1, 2)) + rng.normal(0, (0.012, 0.04), (4, 2))
    moved = np.clip(grow * amount, (-0.03, -0.1), (0.12, 0.3)) * signs
    return np.asarray(corners + moved[:, :1] * across + moved[:, 1:] * down, np.float32)


def shows_two_rows(crop: Image) -> bool:
    """Tells whether a labelled plate, uint8 H×W×3 BGR, is in two rows: high and yellow, as labels do not say.

    One in a single row is as high where it is seen from the side, but seldom yellow.
    """
    high = may_show_two_rows(crop.shape[1], crop.shape[0])
    return high and colour_shares(crop).get("yellow", 0.0) > _YELLOW


class RecTraining:
    """The recognizer as a `trainer.TrainingTask`.

    Args:
        config: The run's settings.
        weights: Start weights under PaddleOCR's names.
        characters: The dictionary of their head.
        source: What error messages call the weights.
        render: Draws plates; None to train on `samples` alone.
        samples: Labelled crops, or scenes with corners, to train on.
        counts: How many of the plates of `samples` each label file has; None for one file.
        validation: Labelled crops, or scenes with corners, to measure on; where empty, rendered plates
            that the training never sees are measured on instead, or, where none are rendered, `samples` as
            the training never sees them.
        text: Draws crops of other text, or None.
    """

    metric = "accuracy"
    new_norms: Collection[str] = ()

    def __init__(
        self,
        config: TrainConfig,
        weights: Mapping[str, NDArray[np.float32]],
        characters: Sequence[str],
        source: str,
        *,
        render: CropSource | None,
        samples: Sequence[Sample] = (),
        counts: Sequence[int] | None = None,
        validation: Sequence[Sample] = (),
        text: TextRenderer | None = None,
    ) -> None:
        self.config, self.render, self.text = config, render, text
        arrays = cut_head_weights(weights, characters, source)
        architecture = closest(arrays, "rec")
        config.check(architecture, source)
        network = self._network(architecture)
        load_weights(network, arrays, source=source, optional=PREFIXES)
        network.freeze(config.own.frozen_blocks)
        self.network: nn.Module = network
        self.samples = plates_of(samples)
        counts = [len(self.samples)] if counts is None else counts
        ratios = config.data.source.ratios or [1.0] * len(counts)
        weights_of_files = np.repeat(np.array(ratios), counts)
        texts = [text for _, text, _ in self.samples]
        self._shares = _shares(texts, weights_of_files, balance=config.own.balance)
        self.epochs = _order(config, counts if render is None and self.samples else ())
        self.validation = plates_of(validation)
        if render is None and not self.samples:
            raise InputError("nothing to train on: give labelled plates, or let plates be rendered")
        self.decoder = PlateDecoder(HEAD_CHARSET, unknown_class=True)
        self._fixed: tuple[NDArray[np.uint8], list[str]] | None = None

    def _network(self, architecture: Architecture) -> TorchNetwork:
        network, loss, classes = self.config.network, self.config.loss, len(HEAD_CHARSET) + 2
        if network.guide is None:
            return TorchNetwork(architecture, classes)
        assert isinstance(loss, RecLossSettings)
        # What begins anew has to begin the same again.
        torch.manual_seed(self.config.seed)
        return GuidedNetwork(
            architecture, classes, network.guide, use_guide=network.use_guide, smoothing=loss.smoothing
        )

    def __getstate__(self) -> dict[str, Any]:
        """What worker processes need: all but the network and the images to measure on."""
        return {**self.__dict__, "network": None, "_fixed": None}

    def _draw(self, rng: Rng, number: int | None) -> tuple[Image, str]:
        crop, text = self._seen(rng) if number is None else self._real(rng, number)
        if rng.random() < self.config.own.mirrored_share:
            # Mirrored characters are none: a camera that mirrors must not read another plate.
            return np.ascontiguousarray(crop[:, ::-1]), UNKNOWN * len(text)
        return crop, text

    def _seen(self, rng: Rng) -> tuple[Image, str]:
        if self.samples and (self.render is None or rng.random() < self.config.own.real_share):
            return self._real(rng)
        if self.text is not None and rng.random() < self.config.own.negative_share:
            return self.text.crop(rng)
        assert self.render is not None
        return self.render(rng)

    def _real(self, rng: Rng, number: int | None = None) -> tuple[Image, str]:
        """A labelled plate under other light, or as PaddleOCR augments it."""
        data = self.config.rec
        crop, text = self._cut(rng, number)
        concat = data.concat
        if concat and concat.prob and rng.random() < concat.prob:
            others = (self._cut(rng) for _ in range(concat.ext_data_num))
            size = (concat.width, concat.height)
            crop, text = rec_con_aug((crop, text), others, size, concat.max_text_length)
        if data.augment is not None:
            return data.augment(bring_to_height(crop, data.height), rng), text
        if self.config.own.camera:
            crop = corruptions.camera(crop, rng, plate_height=crop.shape[0], strength=0.4)
        return crop, text

    def _cut(self, rng: Rng, number: int | None = None) -> tuple[Image, str]:
        """A labelled plate as a detector cuts it out; where the image cannot be read, another one."""
        own = self.config.own
        for attempt in range(20):
            if number is None or attempt:
                i = int(np.searchsorted(self._shares, rng.random(), side="right"))
            else:
                i = number
            sample, text, corners = self.samples[i]
            try:
                image = sample.read()
            except EdgeLprError:
                continue
            if corners is None and not own.corner_jitter:
                around, crop = whole(image), image
            else:
                # What is cut out already was cut out along some corners.
                reach = 0.5 if corners is None else 1.0
                around = whole(image) if corners is None else corners
                around = jitter_corners(around, rng, reach * own.corner_jitter)
                crop = crop_quad(image, around)
            if shows_two_rows(crop):
                return unfold_rows(crop), text
            if rng.random() < own.slanted_share:
                # What is cut out already may be sheared as it is.
                amount = 0.6 if corners is None else 1.0
                crop = crop_quad(image, slanted(around, *sample_slant(rng, amount)))
            return crop, text
        raise InputError("20 labelled images in a row cannot be read; check the label files' images")

    def _fit(self, crop: Image, width: int, height: int) -> Image:
        return fit_crop(crop, height, width, "pad" if self.config.rec.padding else "stretch")

    def _shown(self, step: int) -> tuple[Scale, Sequence[int | None]]:
        """The size of a step's lines, and which they are; None for one that is drawn."""
        data = self.config.rec
        if isinstance(self.epochs, ScaledEpochs):
            return self.epochs(step)
        scale = Scale(data.width, data.height, data.batch)
        if self.epochs:
            return scale, self.epochs(step)
        if data.sampler:
            scale = data.sampler.scales[step % len(data.sampler.scales)]
        return scale, [None] * scale.batch

    def batch(self, step: int) -> RecBatch:
        """Makes the batch of one step."""
        rng = np.random.default_rng((self.config.seed, 1, step))
        scale, numbers = self._shown(step)
        drawn = [self._draw(rng, number) for number in numbers]
        classes = [encode(text) for _, text in drawn]
        targets = np.zeros((len(drawn), max(1, *map(len, classes))), np.int64)
        for row, values in zip(targets, classes, strict=True):
            row[: len(values)] = values
        return RecBatch(
            torch.from_numpy(np.stack([self._fit(crop, scale.width, scale.height) for crop, _ in drawn])),
            torch.from_numpy(targets),
            torch.tensor([len(c) for c in classes]),
            torch.tensor([self._valid(crop, scale) for crop, _ in drawn]),
        )

    def _valid(self, crop: Image, scale: Scale) -> float:
        natural = math.ceil(crop.shape[1] * scale.height / crop.shape[0])
        return min(1.0, natural / scale.width) if self.config.rec.padding else 1.0

    def loss(self, network: nn.Module, batch: RecBatch) -> tuple[Tensor, dict[str, float]]:
        """CTC loss of a batch, and the one of the branch that guides, where there is one."""
        device = next(network.parameters()).device
        images, targets, lengths, valid = (
            part.to(device) for part in (batch.images, batch.targets, batch.lengths, batch.valid)
        )
        if not isinstance(network, GuidedNetwork):
            return self._ctc(network(images), targets, lengths), {}
        settings, guide = self.config.loss, self.config.network.guide
        assert isinstance(settings, RecLossSettings)
        assert guide is not None
        logits, guiding = network.guided(images, targets, lengths, valid)
        ctc = settings.weight_1 * self._ctc(logits, targets, lengths)
        guiding = settings.weight_2 * guiding
        return ctc + guiding, {"CTC": float(ctc.detach()), guide.kind: float(guiding.detach())}

    def _ctc(self, logits: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        loss = self.config.loss
        assert isinstance(loss, RecLossSettings)
        per_character = self.config.own.ctc_per_character
        return ctc_loss(logits, targets, lengths, per_character=per_character, focal=loss.use_focal_loss)

    def _measured(self) -> tuple[NDArray[np.uint8], list[str]]:
        if self._fixed is None:
            crops: list[tuple[Image, str]] = []
            for sample, text, corners in self.validation:
                image = sample.read()
                crop = image if corners is None else crop_quad(image, corners)
                crops.append((unfold_rows(crop) if shows_two_rows(crop) else crop, text))
            if not crops:
                rng = np.random.default_rng((self.config.seed, 2))
                draw = self.render or self._real
                crops = [draw(rng) for _ in range(_RENDERED_CROPS)]
            data = self.config.rec
            fitted = [self._fit(crop, data.width, data.height) for crop, _ in crops]
            self._fixed = np.stack(fitted), [text for _, text in crops]
        return self._fixed

    @torch.no_grad()
    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Measures exact texts ("accuracy"), the same without plate knowledge, and the mean CTC loss."""
        images, texts = self._measured()
        device = next(network.parameters()).device
        right = free = 0
        losses = []
        for start in range(0, len(images), _EVALUATION_BATCH):
            part = torch.from_numpy(images[start : start + _EVALUATION_BATCH]).to(device)
            logits = network(part).cpu()
            for row, text in zip(logits, texts[start : start + _EVALUATION_BATCH], strict=True):
                wanted = encode(text)
                same = greedy_path(row.numpy())[0] == wanted
                free += same
                # What reads right as free text reads right as a plate.
                right += same or self.decoder.decode(row.softmax(-1).numpy()).text == text
                losses.append(
                    float(self._ctc(row[None], torch.tensor([wanted]), torch.tensor([len(wanted)])))
                )
        return {
            "accuracy": right / len(images),
            "free_accuracy": free / len(images),
            "loss": float(np.mean(losses)),
        }


def _order(config: TrainConfig, counts: Sequence[int]) -> Epochs | ScaledEpochs | None:
    """What each step shows where all labelled lines are shown, epoch after epoch."""
    data, source = config.rec, config.data.source
    if not counts or config.own.balance:
        return None
    if data.sampler:
        return ScaledEpochs(counts, source, data.sampler, config.seed)
    return Epochs(counts, source, data.batch, config.seed)


def _shares(texts: Sequence[str], ratios: NDArray[np.float64], *, balance: bool) -> NDArray[np.float64]:
    """Cumulative shares of plates among those drawn, N: by their files' ratios.

    With `balance` also by the square root of how many begin alike: nearly all plates that a camera sees are
    of its own province; drawn as often as they come, it would be learnt as the answer to whatever is blurred.
    """
    counts = Counter(text[:1] for text in texts)
    weights = ratios * np.array([counts[text[:1]] ** -0.5 if balance else 1.0 for text in texts])
    # Without the last bound, which rounding may leave below what is drawn.
    return np.cumsum(weights / weights.sum())[:-1] if texts else weights


def plates_of(samples: Sequence[Sample]) -> list[tuple[Sample, str, Quad | None]]:
    """The plates of samples that can be cut out: crops, and plates of scenes that have corners."""
    return [
        (sample, plate.text, plate.corners)
        for sample in samples
        for plate in sample.plates or ()
        if not plate.ignored and (sample.crop or plate.corners is not None)
    ]
