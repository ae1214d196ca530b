"""Views of an image, turned by quarters and mirrored; the way back for what was found; and its border."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from edge_lpr.plates import PlateRead
from edge_lpr.types import Image, Quad, Size

__all__ = ["View", "touches_border"]

_TURNS = {1: cv2.ROTATE_90_CLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_COUNTERCLOCKWISE}


@dataclass(frozen=True)
class View:
    """How an image is looked at.

    Attributes:
        quarters: Quarter turns clockwise, 0 to 3.
        mirrored: Whether left and right are exchanged first.
    """

    quarters: int = 0
    mirrored: bool = False

    def of(self, image: Image) -> Image:
        """Returns what an image, uint8 H×W×3, is in this view; itself where that is no other."""
        if self.mirrored:
            image = np.ascontiguousarray(image[:, ::-1])
        return np.asarray(cv2.rotate(image, _TURNS[self.quarters]), np.uint8) if self.quarters else image

    def points(self, points: Quad, size: Size) -> Quad:
        """Returns where points of the image, float32 K×2, are in the view.

        Args:
            points: x and y, in pixels of the image.
            size: Height and width of the image, in pixels.
        """
        height, width = size
        x, y = points[:, 0], points[:, 1]
        if self.mirrored:
            x = width - x
        if self.quarters == 1:
            x, y = height - y, x
        elif self.quarters == 2:
            x, y = width - x, height - y
        elif self.quarters == 3:
            x, y = y, width - x
        return np.stack([x, y], axis=1).astype(np.float32)

    def back(self, read: PlateRead, size: Size) -> PlateRead:
        """Returns a read of the view with its corners where they are in the image.

        Args:
            read: What the view shows.
            size: Height and width of the image, in pixels.
        """
        return replace(read, corners=self.back_points(read.corners, size))

    def back_points(self, points: Quad, size: Size) -> Quad:
        """Returns where points of the view, float32 K×2, are in the image.

        Args:
            points: x and y, in pixels of the view.
            size: Height and width of the image, in pixels.
        """
        height, width = size
        x, y = points[:, 0], points[:, 1]
        if self.quarters == 1:
            x, y = y, height - x
        elif self.quarters == 2:
            x, y = width - x, height - y
        elif self.quarters == 3:
            x, y = width - y, x
        if self.mirrored:
            x = width - x
        return np.stack([x, y], axis=1).astype(np.float32)


def touches_border(quad: Quad, size: Size) -> tuple[bool, bool]:
    """Tells whether a plate's left and right side lie at the border of the image, where it may go on.

    Args:
        quad: float32 4×2 corners, tl-tr-br-bl.
        size: Height and width of the image, in pixels.
    """
    height, width = size
    # A detector's box ends within some hundredths of the plate's width of where the plate does: of 11 plates
    # without their last character the boxes of 7 end 0.02 to 0.04 before the border, a blurred one's 0.06.
    margin = max(2.0, 0.08 * float(np.linalg.norm(quad[1] - quad[0])))
    near = (
        (quad[:, 0] <= margin)
        | (quad[:, 1] <= margin)
        | (quad[:, 0] >= width - margin)
        | (quad[:, 1] >= height - margin)
    )
    return bool(near[0] or near[3]), bool(near[1] or near[2])
