"""PaddleOCR's CopyPaste, of detectors from PP-OCRv4 on: texts of another photo, turned, where none is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge_lpr.geometry import crop_quad
from edge_lpr.types import Image, Quad, Rng

__all__ = ["CopyPaste"]

_MOST, _TRIES = 30, 50


@dataclass(frozen=True)
class CopyPaste:
    """Pastes texts of one photo onto another.

    Attributes:
        objects_paste_ratio: Share of the other photo's texts that are pasted; at least one, at most 30.
        limit_paste: Whether a text is only pasted where it covers no other, if in 50 tries there is room.
    """

    objects_paste_ratio: float = 0.2
    limit_paste: bool = True

    def __call__(
        self,
        photo: tuple[Image, Sequence[Quad], Sequence[bool]],
        other: tuple[Image, Sequence[Quad], Sequence[bool]],
        rng: Rng,
    ) -> tuple[Image, list[Quad], list[bool]]:
        """Pastes.

        Args:
            photo: uint8 H×W×3 BGR, corners of its texts, and which of them do not count; not changed.
            other: The photo that the texts are from; those that do not count are not taken.
            rng: Source of randomness.

        Returns:
            The photo, the corners of all its texts, and which of them do not count.
        """
        image, quads, ignored = photo[0].copy(), list(photo[1]), [bool(i) for i in photo[2]]
        counted = [q for q, ignore in zip(other[1], other[2], strict=True) if not ignore]
        number = max(1, min(int(self.objects_paste_ratio * len(other[1])), _MOST))
        for i in rng.permutation(len(counted))[:number]:
            quad = self._paste(image, crop_quad(other[0], counted[int(i)]), quads, rng)
            if quad is not None:
                quads.append(quad)
                ignored.append(False)
        return image, quads, ignored

    def _paste(self, image: Image, text: Image, quads: Sequence[Quad], rng: Rng) -> Quad | None:
        """Turns a text and pastes it into an image; returns its corners there, None where no room is."""
        high, wide = text.shape[:2]
        turn = cv2.getRotationMatrix2D(((wide - 1) / 2, (high - 1) / 2), float(rng.integers(0, 360)), 1.0)
        corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float64)
        turned = corners @ turn[:, :2].T + turn[:, 2]
        low = np.floor(turned.min(axis=0))
        size = np.ceil(turned.max(axis=0) - low).astype(int)
        room = np.array(image.shape[1::-1]) - size
        if (room < 0).any():
            return None
        for _ in range(_TRIES if self.limit_paste else 1):
            place = rng.integers(0, room + 1)
            if not self.limit_paste or not any(_meet(place, place + size, quad) for quad in quads):
                break
        else:
            return None
        turn[:, 2] -= low
        into = image[place[1] : place[1] + size[1], place[0] : place[0] + size[0]]
        shape = (int(size[0]), int(size[1]))
        pasted = cv2.warpAffine(text, turn, shape, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mask = cv2.warpAffine(np.full((high, wide), 255, np.uint8), turn, shape, flags=cv2.INTER_NEAREST)
        into[mask > 0] = pasted[mask > 0]
        return np.asarray(turned - low + place, np.float32)


def _meet(low: np.ndarray, high: np.ndarray, quad: Quad) -> bool:
    """Tells whether a rectangle and the upright one around a quadrilateral have a point in common."""
    return bool((quad.max(axis=0) >= low).all() and (quad.min(axis=0) <= high).all())
