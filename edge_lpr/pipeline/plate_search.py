"""The search for plates in whole images: as they are, at other sizes, and on their sides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from edge_lpr.geometry import bounding_box_iou, side_lengths
from edge_lpr.pipeline.crop import Crop
from edge_lpr.pipeline.crop_reader import CropReader
from edge_lpr.pipeline.db_postprocess import Box
from edge_lpr.pipeline.detector import Detector
from edge_lpr.pipeline.looks import Look, Seen
from edge_lpr.pipeline.settings import MIN_SIDE, ReadSettings
from edge_lpr.pipeline.views import View
from edge_lpr.pipeline.windows import Window, detect_in_windows, joined
from edge_lpr.plates import PlateRead
from edge_lpr.types import Image, Quad, Size

__all__ = ["PlateSearch"]

_RESCANS = (1.0, 0.7)
"""An image that shows no plate is searched again at these shares of `rescan_side`, one after the other: a
plate half as wide as the picture is found at the first, one that fills it at the second."""

_SIDES = (View(1), View(3))
"""A picture that shows no plate, or only plates that stand on end, may lie on its side."""
_SAME_PLACE = 0.3
"""Intersection over union with where a plate is expected, from which on a box is that plate."""
_TINY, _CLOSER, _MOST_CLOSER = 18, 2, 16
"""A plate of a picture that is less high than this, in pixels of the detector's input, is looked at again so
many times as large: its corners are a pixel or two off, which costs it a character. (Of the 67 plates that
neither network has learnt, 66 are read so and 64 without.) So many are looked at in a picture, the surest
first."""
_AROUND = (1.0, 1.0, 0.5)
"""What is seen around it then: beside it in its widths, above and below in its heights and its widths."""
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
            self._back(plates, (image.shape[0], image.shape[1]))
            for image, plates in zip(images, found, strict=True)
        ]

    def read_look(self, image: Image, look: Look) -> Seen:
        """Reads the plates in what is looked at of a frame; see `PlateReader.read_look`."""
        size = image.shape[0], image.shape[1]
        view = self._view.of(image)
        if look.windows is None:
            boxes = self._detector.detect(view)
        else:
            windows = [Window.around(self._view.points(w.corners, size)) for w in look.windows]
            boxes = detect_in_windows(self._detector, view, windows)
        followed: dict[int, Quad] = {}
        for number, expected in look.followed.items():
            place = self._view.points(expected, size)
            shared = [bounding_box_iou(box.rectangle, place) for box in boxes]
            if shared and max(shared) >= _SAME_PLACE:
                box = boxes.pop(shared.index(max(shared)))
                followed[number] = self._view.back_points(box.corners, size)
        plates = [self._view.points(quad, size) for quad in look.plates]
        reads = self._read_boxes([view], [boxes], lambda box: any(_stands_at(box, quad) for quad in plates))
        if look.windows is None:
            self._look_again(reads, [view], [look.rescan and not followed])
        return Seen(look, self._back(reads[0], size), followed)

    def _back(self, plates: Iterable[PlateRead], size: Size) -> list[PlateRead]:
        """Returns plates of a view where they are in the image, from top to bottom and left to right."""
        back = (self._view.back(read, size) for read in plates)
        return sorted(back, key=lambda read: tuple(read.corners.min(axis=0)[::-1]))

    def _find(self, views: Sequence[Image], rescan: Sequence[bool] | None) -> list[list[PlateRead]]:
        """Finds and reads the plates of each view, looking again where there is none."""
        reads: list[list[PlateRead]] = [[] for _ in views]
        stills = rescan is None
        wanted = [True] * len(views) if rescan is None else rescan
        if stills:
            self._look(reads, views, self._read_whole, [_may_be_plate(view) for view in views], sure=True)
        self._look(reads, views, self._read_closely if stills else self._read_at)
        self._look_again(reads, views, wanted)
        if stills and self._tries_sides:
            on_end = [found if all(_stands_on_end(read) for read in found) else [] for found in reads]
            reads = [[] if lying else found for lying, found in zip(on_end, reads, strict=True)]
            for side_view in _SIDES:
                self._look(reads, views, partial(self._read_turned, view=side_view), sure=True)
            reads = [found or lying for lying, found in zip(on_end, reads, strict=True)]
        return reads

    def _look_again(
        self, reads: list[list[PlateRead]], views: Sequence[Image], wanted: Sequence[bool]
    ) -> None:
        """Looks at other sizes at the views that show no plate yet, of those that are wanted."""
        for share in _RESCANS if self._settings.rescan_side else ():
            side = max(round(share * self._settings.rescan_side), MIN_SIDE)
            again = [w and side < max(view.shape[:2]) for w, view in zip(wanted, views, strict=True)]
            self._look(reads, views, partial(self._read_at, longer_side=side), again, sure=True)

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
        return self._read_boxes(images, self._detector.detect_batch(images, longer_side))

    def _read_closely(self, images: Sequence[Image]) -> list[list[PlateRead]]:
        """Reads as `_read_at` does, small plates along the corners that they have from nearby."""
        found = self._detector.detect_batch(images)
        # What takes only some sizes would be given a window in a frame as large as the picture.
        if self._detector.backend.sizes is None:
            found = [self._closer(image, boxes) for image, boxes in zip(images, found, strict=True)]
        return self._read_boxes(images, found)

    def _closer(self, image: Image, boxes: list[Box]) -> list[Box]:
        """Replaces the boxes of small plates by what is found of them from nearby, where anything is."""
        size: Size = image.shape[0], image.shape[1]
        scale = self._detector.input_size(*size)[0] / size[0]
        tiny = [box for box in boxes if scale * min(side_lengths(box.corners)) < _TINY]
        tiny = [box for box in tiny if self._is_shaped(image, box)]
        tiny = sorted(tiny, key=lambda box: box.score, reverse=True)[:_MOST_CLOSER]
        windows = joined([_surroundings(box).clipped(size) for box in tiny])
        nearby = detect_in_windows(self._detector, image, windows, _CLOSER) if windows else []
        better: dict[int, Box] = {}
        for box in tiny:
            shared = [bounding_box_iou(other.rectangle, box.rectangle) for other in nearby]
            if shared and max(shared) >= _SAME_PLACE:
                better[id(box)] = nearby.pop(shared.index(max(shared)))
        return [better.get(id(box), box) for box in boxes]

    def _is_shaped(self, image: Image, box: Box) -> bool:
        crops = (Crop.of_box(image, quad, box.score) for quad in box.outlines())
        return self._settings.any_text or any(self._settings.has_plate_shape(c.image) for c in crops)

    def _read_boxes(
        self,
        images: Sequence[Image],
        boxes: Sequence[Sequence[Box]],
        is_upright: Callable[[Box], bool] | None = None,
    ) -> list[list[PlateRead]]:
        owners: list[int] = []
        upright: list[bool] = []
        places: list[list[Crop]] = []
        for i, found in enumerate(boxes):
            for box in found:
                crops = [Crop.of_box(images[i], quad, box.score) for quad in box.outlines()]
                if not self._settings.any_text:
                    crops = [crop for crop in crops if self._settings.has_plate_shape(crop.image)]
                if crops:
                    owners.append(i)
                    upright.append(is_upright is not None and is_upright(box))
                    # Whichever way a plate reads better, the first outline is the truer one.
                    places.append([replace(crop, corners=crops[0].corners) for crop in crops])
        reads: list[list[PlateRead]] = [[] for _ in images]
        found_at = self._crops.read(places, None if is_upright is None else upright)
        for i, read in zip(owners, found_at, strict=True):
            if read is not None:
                reads[i].append(read)
        return reads


def _surroundings(box: Box) -> Window:
    """Returns a window around a box with enough beside it to know a plate by."""
    width, height = (float(v) for v in np.ptp(box.corners, axis=0))
    beside, heights, widths = _AROUND
    return Window.around(box.corners, (beside * width, heights * height + widths * width))


def _stands_at(box: Box, quad: Quad) -> bool:
    """Tells whether a box is where a plate that stands upright is expected, within its width and height."""
    reach = np.ptp(quad, axis=0)
    apart = np.abs(box.rectangle.mean(axis=0) - quad.mean(axis=0))
    return bool(quad[0, 1] < quad[3, 1] and (apart <= reach).all())


def _stands_on_end(read: PlateRead) -> bool:
    """Tells whether a plate is higher than wide in the picture: most that stand so are not found."""
    wide, high = np.ptp(read.corners, axis=0)
    return bool(high > wide)


def _may_be_plate(image: Image) -> bool:
    """Tells whether a whole picture has the shape of a plate that was cut out."""
    height, width = image.shape[:2]
    return bool(_WIDE <= width / height <= _WIDEST or (height <= _SMALL and _HIGH <= width / height < _WIDE))
