"""The search for plates in whole images: as they are, at other sizes, and on their sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from edge_lpr.pipeline.crop import Crop
from edge_lpr.pipeline.crop_reader import CropReader
from edge_lpr.pipeline.detector import Detector
from edge_lpr.pipeline.settings import MIN_SIDE, ReadSettings
from edge_lpr.pipeline.views import View
from edge_lpr.plates import PlateRead
from edge_lpr.types import Image

__all__ = ["PlateSearch"]

_RESCANS = (1.0, 0.7)
"""An image that shows no plate is searched again at these shares of `rescan_side`, one after the other: a
plate half as wide as the picture is found at the first, one that fills it at the second."""

_SIDES = (View(1), View(3))
"""A picture that shows no plate, or only plates that stand on end, may lie on its side."""
_WIDE, _WIDEST = 2.0, 6.0
_SMALL, _HIGH = 160, 1.3
"""A picture with a plate's proportions may be a plate cut out; photos are seldom wider than twice their
height. One in two rows, seen from the side, has a photo's proportions, but not its size (in pixels)."""


class PlateSearch:
    """Finds the plates of images and reads them.

    Args:
        detector: Finds boxes of text.
        crops: Reads what is cut out along them.
        settings: How images are looked at, and when again.
    """

    def __init__(self, detector: Detector, crops: CropReader, settings: ReadSettings) -> None:
        self._detector = detector
        self._crops = crops
        self._settings = settings
        turned_by_itself = settings.rotate == "auto"
        self._view = View(0 if turned_by_itself else int(settings.rotate) // 90, settings.flip)
        self._tries_sides = turned_by_itself

    def read(self, images: Sequence[Image], rescan: Sequence[bool] | None) -> list[list[PlateRead]]:
        """Reads the plates of images.

        Args:
            images: uint8 H×W×3 BGR, of any sizes.
            rescan: See `PlateReader.read_batch`.

        Returns:
            The plates of each image, from top to bottom and left to right, with their corners in the image.

        Raises:
            BackendError: The backend failed.
        """
        views = [self._view.of(image) for image in images]
        found = self._read_whole(views) if self._settings.crops_only else self._find(views, rescan)
        return [
            sorted(
                (self._view.back(read, image.shape[:2]) for read in plates),
                key=lambda r: tuple(r.corners.min(axis=0)[::-1]),
            )
            for image, plates in zip(images, found, strict=True)
        ]

    def _find(self, views: Sequence[Image], rescan: Sequence[bool] | None) -> list[list[PlateRead]]:
        """Finds and reads the plates of each view, looking again where there is none."""
        reads: list[list[PlateRead]] = [[] for _ in views]
        stills = rescan is None
        wanted = [True] * len(views) if rescan is None else rescan
        if stills:
            self._look(reads, views, self._read_whole, [_may_be_plate(view) for view in views], sure=True)
        self._look(reads, views, self._read_at)
        for share in _RESCANS if self._settings.rescan_side else ():
            side = max(round(share * self._settings.rescan_side), MIN_SIDE)
            again = [w and side < max(view.shape[:2]) for w, view in zip(wanted, views, strict=True)]
            self._look(reads, views, partial(self._read_at, longer_side=side), again, sure=True)
        if stills and self._tries_sides:
            on_end = [found if all(_stands_on_end(read) for read in found) else [] for found in reads]
            reads = [[] if lying else found for lying, found in zip(on_end, reads, strict=True)]
            for side_view in _SIDES:
                self._look(reads, views, partial(self._read_turned, view=side_view), sure=True)
            reads = [found or lying for lying, found in zip(on_end, reads, strict=True)]
        return reads

    def _look(
        self,
        reads: list[list[PlateRead]],
        images: Sequence[Image],
        look: Callable[[Sequence[Image]], list[list[PlateRead]]],
        wanted: Sequence[bool] | None = None,
        *,
        sure: bool = False,
    ) -> None:
        """Looks at the images that show no plate yet, of those that are wanted."""
        left = [i for i, found in enumerate(reads) if not found and (wanted is None or wanted[i])]
        for i, plates in zip(left, look([images[i] for i in left]), strict=True):
            reads[i] = [r for r in plates if not sure or r.min_score >= self._settings.rescan_score]

    def _read_whole(self, images: Sequence[Image]) -> list[list[PlateRead]]:
        found = self._crops.read([[Crop.of_whole(image)] for image in images])
        return [[] if read is None else [read] for read in found]

    def _read_turned(self, images: Sequence[Image], view: View) -> list[list[PlateRead]]:
        # Twice the size of the second search: a plate in a picture on its side is seldom a small one.
        side = 2 * self._settings.rescan_side or None
        found = self._read_at([view.of(image) for image in images], side)
        return [
            [view.back(read, image.shape[:2]) for read in plates]
            for image, plates in zip(images, found, strict=True)
        ]

    def _read_at(self, images: Sequence[Image], longer_side: int | None = None) -> list[list[PlateRead]]:
        owners: list[int] = []
        places: list[list[Crop]] = []
        for i, found in enumerate(self._detector.detect_batch(images, longer_side)):
            for box in found:
                crops = [Crop.of_box(images[i], quad, box.score) for quad in box.outlines()]
                if not self._settings.any_text:
                    crops = [crop for crop in crops if self._settings.has_plate_shape(crop.image)]
                if crops:
                    owners.append(i)
                    # Whichever way a plate reads better, the first outline is the truer one.
                    places.append([replace(crop, corners=crops[0].corners) for crop in crops])
        reads: list[list[PlateRead]] = [[] for _ in images]
        for i, read in zip(owners, self._crops.read(places), strict=True):
            if read is not None:
                reads[i].append(read)
        return reads


def _stands_on_end(read: PlateRead) -> bool:
    """Tells whether a plate is higher than wide in the picture: most that stand so are not found."""
    wide, high = np.ptp(read.corners, axis=0)
    return bool(high > wide)


def _may_be_plate(image: Image) -> bool:
    """Tells whether a whole picture has the shape of a plate that was cut out."""
    height, width = image.shape[:2]
    return bool(_WIDE <= width / height <= _WIDEST or (height <= _SMALL and _HIGH <= width / height < _WIDE))
