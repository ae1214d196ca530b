"""From crops to posteriors: batches for the CTC recognizer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from edge_lpr.backends.base import Backend
from edge_lpr.bundle.manifest import RecSpec
from edge_lpr.errors import BackendError
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
        model: What it eats.
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
            BackendError: The network failed, or its classes are not those of the bundle.
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
        natural = self._natural(crop)
        return next((w for w in self.model.widths if w >= natural), self.model.widths[-1])

    def _natural(self, crop: Image) -> int:
        """Width of a crop at the network's height, as PP-OCR rounds it."""
        width: int = math.ceil(crop.shape[1] * self.model.height / crop.shape[0])
        return width

    def _run(self, crops: Sequence[Image], width: int) -> Probs:
        batch = np.empty((len(crops), self.model.height, width, 3), np.uint8)
        for slot, crop in zip(batch, crops, strict=True):
            used = width if self.model.resize_mode == "stretch" else min(width, self._natural(crop))
            slot[:, :used] = cv2.resize(crop, (used, self.model.height), interpolation=cv2.INTER_LINEAR)
            slot[:, used:] = PADDING
        probs: Probs = self.backend.run({self.model.input_name: batch})[self.model.output_name]
        if probs.ndim != 3 or len(probs) != len(crops) or probs.shape[2] != self.model.classes:
            raise BackendError(
                f"the recognizer returned shape {probs.shape}, expected {len(crops)}×T×{self.model.classes}: "
                "bundle.json and the model do not fit each other; export the bundle again"
            )
        return probs
