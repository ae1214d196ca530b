"""From crops to posteriors: batches for the CTC recognizer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from edge_lpr.backends.base import Backend
from edge_lpr.backends.lending import lend
from edge_lpr.bundle.manifest import RecSpec
from edge_lpr.errors import BackendError
from edge_lpr.pipeline.network_output import check_finite
from edge_lpr.types import Image, Probs

# PP-OCR pads with zeros after normalisation, which is x / 127.5 - 1.
PADDING = 128
# Crops per run: enough to fill the cores, and a page of 200 boxes stays within tens of MB.
CROPS_PER_RUN = 32


class Recognizer:
    """Runs a CTC recognizer over crops.

    A crop is brought to the network's height, and to the smallest of its widths that is not narrower than the
    crop at that height (the widest, where all are): filled up with grey or stretched, as the bundle says.
    Crops of one width run as one batch.

    Args:
        backend: The loaded network.
        model: Its input specification.
    """

    def __init__(self, backend: Backend, model: RecSpec) -> None:
        self.backend = backend
        self.model = model

    def probabilities(self, crops: Sequence[Image]) -> list[Probs]:
        """Recognizes crops.

        Args:
            crops: uint8 h×w×3 BGR, of any sizes.

        Returns:
            For each crop float32 T×C class probabilities; T grows with the width.

        Raises:
            BackendError: The network failed, its classes are not those of the bundle, or its output is not
                finite.
        """
        groups: dict[int, list[int]] = {}
        for i, crop in enumerate(crops):
            groups.setdefault(self._width(crop), []).append(i)
        found: dict[int, Probs] = {}
        step = min(CROPS_PER_RUN, self.backend.max_batch or CROPS_PER_RUN)
        for width, members in groups.items():
            for start in range(0, len(members), step):
                part = members[start : start + step]
                found.update(zip(part, self._run([crops[i] for i in part], width), strict=True))
        return [found[i] for i in range(len(crops))]

    def _width(self, crop: Image) -> int:
        natural = _natural_width(crop, self.model.height)
        return next((w for w in self.model.widths if w >= natural), self.model.widths[-1])

    def _run(self, crops: Sequence[Image], width: int) -> Probs:
        height, mode = self.model.height, self.model.resize_mode
        with lend(self.backend, self.model.input_name, (len(crops), height, width, 3)) as loan:
            for slot, crop in zip(loan.batch, crops, strict=True):
                _fill(slot, crop, mode)
            # A few kilobytes, which are kept.
            probs: Probs = loan.run()[self.model.output_name].copy()
        if probs.ndim != 3 or len(probs) != len(crops) or probs.shape[2] != self.model.classes:
            raise BackendError(
                f"the recognizer returned shape {probs.shape}, expected {len(crops)}×T×{self.model.classes}: "
                "bundle.json and the model do not fit each other; export the bundle again"
            )
        check_finite(probs, "the recognizer", self.backend, self.model.precisions)
        return probs


def fit_crop(crop: Image, height: int, width: int, mode: str = "pad") -> Image:
    """Brings a crop to the size of a recognizer's input.

    Args:
        crop: uint8 h×w×3 BGR.
        height: Height of the input, in pixels.
        width: Width of the input, in pixels.
        mode: "pad" keeps the crop's proportions as far as it fits and fills up with grey, as PaddleOCR does;
            "stretch" fills the input.

    Returns:
        uint8 height×width×3 BGR.
    """
    fitted = np.empty((height, width, 3), np.uint8)
    _fill(fitted, crop, mode)
    return fitted


def _fill(slot: Image, crop: Image, mode: str) -> None:
    """Brings a crop into its place in a batch, uint8 height×width×3; see `fit_crop`."""
    height, width = slot.shape[:2]
    used = width if mode == "stretch" else min(width, _natural_width(crop, height))
    slot[:, :used] = cv2.resize(crop, (used, height), interpolation=cv2.INTER_LINEAR)
    slot[:, used:] = PADDING


def _natural_width(crop: Image, height: int) -> int:
    """Width of a crop at the network's height, as PP-OCR rounds it."""
    width: int = math.ceil(crop.shape[1] * height / crop.shape[0])
    return width
