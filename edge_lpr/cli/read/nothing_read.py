"""The hint where a long run of pictures shows no plate: it most often has one cause."""

from __future__ import annotations

import time
from statistics import median

from edge_lpr.pipeline.settings import ReadSettings
from edge_lpr.pipeline.stream import FrameResult

__all__ = ["NothingRead"]

_PICTURES = 50
_FEW, _SECONDS = 5, 20.0  # so few pictures are enough after so long


class NothingRead:
    """Watches a run of pictures for its first plate.

    Args:
        settings: What counts as a plate in this run.
    """

    def __init__(self, settings: ReadSettings) -> None:
        self._settings = settings
        self._sizes: list[tuple[int, int]] = []
        self._began = time.monotonic()
        self._over = False

    def hint(self, frame_result: FrameResult) -> str:
        """Takes in a picture.

        Returns:
            The hint, once in a run, as soon as it is time for it; else "".
        """
        frame = frame_result.frame
        if self._over or frame is None:
            return ""
        self._over = bool(frame_result.reads)
        self._sizes.append(frame.image.shape[:2])
        waited = len(self._sizes) >= _FEW and time.monotonic() - self._began >= _SECONDS
        if self._over or not (waited or len(self._sizes) >= _PICTURES):
            return ""
        self._over = True
        return self._text()

    def _text(self) -> str:
        height, width = (round(median(sides)) for sides in zip(*self._sizes, strict=True))
        said = f"no plate in the first {len(self._sizes)} pictures, of {width}×{height} pixels typically"
        if not self._settings.crops_only:
            said += "; if each is a plate that was cut out already, --crops-only reads it as one"
        return said + ("" if self._settings.any_text else "; --any-text shows text that is read as no plate")
