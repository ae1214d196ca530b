"""What of a scene looks otherwise than when it was last looked at, on a small grey image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.pipeline.windows import Window
from edge_lpr.types import Image, Size

__all__ = ["Scene", "small_grey"]

Grid = NDArray[np.bool_]
"""bool h×w, one for each pixel of the small image."""

_SIDE = 256  # pixels that the small image's longer side has, at most
# A cell is another one when its brightness differs by so many times the noise, within these bounds (of 255
# levels), and by this share of the contrast around it: a camera that shakes moves edges by parts of a cell.
_NOISE, _LEAST, _MOST, _EDGE = 5.0, 5.0, 16.0, 0.3
_MAD = 1.4826  # standard deviations in a median absolute deviation of Gaussian noise
_NEIGHBOURS = 3  # of the nine cells around and in it, so many have to be others for a cell to count


def small_grey(image: Image) -> NDArray[np.float32]:
    """Returns an image halved until its longer side has at most 256 pixels, grey, 0 to 255.

    Args:
        image: uint8 H×W×3 BGR.
    """
    while max(image.shape[:2]) > _SIDE:
        height, width = image.shape[0] // 2, image.shape[1] // 2
        if not height or not width:
            break
        # Of an even size, halving is what OpenCV does fastest.
        even = image[: 2 * height, : 2 * width]
        image = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.float32)


class Scene:
    """Remembers how each place looked when it was last looked at, and when that was.

    What the camera does to the whole picture (its exposure) is no change, nor is noise, nor an edge that
    shakes.

    Attributes:
        changed: bool h×w: where the frame that was compared last looks otherwise.
        looked: float64 h×w: when each cell was last looked at, in seconds.
    """

    def __init__(self, image: Image, time: float) -> None:
        """Begins with a frame, uint8 H×W×3 BGR, that is looked at as a whole at a time in seconds."""
        self.size: Size = image.shape[0], image.shape[1]
        self._now = small_grey(image)
        self._seen = self._now.copy()
        self._gain = 1.0
        self.changed: Grid = np.zeros(self._now.shape, np.bool_)
        self.looked = np.full(self._now.shape, time)

    def compare(self, image: Image) -> Grid:
        """Compares a frame, of the first one's size, with what was seen; returns `changed`."""
        self._now = small_grey(image)
        some = np.s_[::2, ::2]
        self._gain = float(np.median((self._now[some] + 1) / (self._seen[some] + 1)))
        difference = np.abs(self._now - (self._seen + 1) * self._gain + 1)
        noise = _MAD * float(np.median(difference[some]))
        least = min(max(_NOISE * noise, _LEAST), _MOST)
        other = (difference > np.maximum(least, _EDGE * _contrast(self._seen))).astype(np.uint8)
        around = cv2.boxFilter(other, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
        self.changed = (other > 0) & (np.asarray(around) >= _NEIGHBOURS)
        return self.changed

    def note_look(self, window: Window | None, time: float) -> None:
        """Takes in that a part of the frame compared last, or (None) all of it, is looked at."""
        cells = np.s_[:, :] if window is None else self.inside(window)
        if window is None:
            self._gain = 1.0
        self._seen[cells] = (self._now[cells] + 1) / self._gain - 1
        self.looked[cells] = time
        self.changed[cells] = False

    def cells(self, window: Window) -> Window:
        """Returns the cells that a window, in pixels of the frame, touches; at least one."""
        rows, columns = self._now.shape
        y, x = rows / self.size[0], columns / self.size[1]
        left, top = min(max(int(window.left * x), 0), columns - 1), min(max(int(window.top * y), 0), rows - 1)
        right, bottom = (
            min(int(np.ceil(window.right * x)), columns),
            min(int(np.ceil(window.bottom * y)), rows),
        )
        return Window(left, top, max(right, left + 1), max(bottom, top + 1))

    def inside(self, window: Window) -> tuple[slice, slice]:
        """Returns rows and columns of the cells that a window, in pixels of the frame, touches."""
        return self.cells(window).slices

    def of_cells(self, cells: Window) -> Window:
        """Returns the window, in pixels of the frame, that cells cover."""
        rows, columns = self._now.shape
        y, x = self.size[0] / rows, self.size[1] / columns
        return Window(
            int(cells.left * x),
            int(cells.top * y),
            int(np.ceil(cells.right * x)),
            int(np.ceil(cells.bottom * y)),
        )


def _contrast(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the brightest less the darkest of the nine cells around each."""
    kernel = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(grey, kernel) - cv2.erode(grey, kernel), np.float32)
