"""A plate that was cut out, as the recognizer gets it, and the other ways to look at it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edge_lpr.geometry import crop_quad, whole
from edge_lpr.pipeline.views import touches_border
from edge_lpr.plates.two_line import may_show_two_rows, unfold_rows
from edge_lpr.types import Image, Quad

__all__ = ["Crop"]


@dataclass(frozen=True, eq=False)
class Crop:
    """A plate cut out.

    Attributes:
        image: uint8 h×w×3 BGR, as the recognizer gets it.
        corners: The plate's own, float32 4×2, in source pixels, top-left as it is read first; the image may
            be cut out along others.
        det_score: The detector's score of it, 0 to 1.
        source: The crop that it was made of, where it was; None for one as it was cut.
        at_border: Whether its left and its right side lie at the border of the picture it was cut out of.
        is_mirrored: Whether left and right are exchanged.
    """

    image: Image
    corners: Quad
    det_score: float
    source: Image | None = None
    at_border: tuple[bool, bool] = (False, False)
    is_mirrored: bool = False

    @classmethod
    def of_box(cls, image: Image, quad: Quad, score: float) -> Crop:
        """Cuts a box of the detector out of an image, uint8 H×W×3 BGR."""
        return cls(crop_quad(image, quad), quad, score, at_border=touches_border(quad, image.shape[:2]))

    @classmethod
    def of_whole(cls, image: Image) -> Crop:
        """Takes an image for a plate that was cut out already: its own borders are no picture's."""
        return cls(image, whole(image), 1.0)

    @property
    def plate(self) -> Image:
        """The plate as it was cut out: what its colours are taken of."""
        return self.image if self.source is None else self.source

    @property
    def is_high(self) -> bool:
        """Whether it may show two rows."""
        return may_show_two_rows(self.image.shape[1], self.image.shape[0])

    def turned(self) -> Crop:
        """Returns it turned round."""
        image = np.ascontiguousarray(self.image[::-1, ::-1])
        left, right = self.at_border
        return Crop(image, np.roll(self.corners, 2, axis=0), self.det_score, self.image, (right, left))

    def unfolded(self) -> Crop:
        """Returns it with its two rows in one line."""
        return Crop(unfold_rows(self.image), self.corners, self.det_score, self.image, self.at_border)

    def mirrored(self) -> Crop:
        """Returns what a mirror shows of it: where that is a plate, the picture is a mirror's."""
        image = np.ascontiguousarray(self.image[:, ::-1])
        return replace(self, image=image, source=self.image, is_mirrored=True)
