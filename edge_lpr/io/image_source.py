"""Images as a source: one frame each, the next decoded ahead where memory is left for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from edge_lpr.errors import SourceError
from edge_lpr.io.frames import Frame, Source
from edge_lpr.io.image_header import BYTES_PER_PIXEL, read_header
from edge_lpr.io.image_io import decode_image, read_image, read_image_file
from edge_lpr.types import Image

__all__ = ["ImageSource"]


class ImageSource(Source):
    """Images, one frame each; one that cannot be read is reported and left out.

    Args:
        label: What messages call them all.
        paths: The files.
        max_pixels: The largest image; see `read_image`. Two that are decoded together are no larger.
        on_warning: See `Source`.
        stride: Every stride-th is read; each has its index among all of them.
    """

    is_image = True

    def __init__(
        self,
        label: str,
        paths: Sequence[Path],
        max_pixels: int,
        on_warning: Callable[[str], None],
        stride: int = 1,
    ) -> None:
        super().__init__(label, on_warning)
        self._count = len(paths)
        self._paths = paths[::stride]
        self._stride = stride
        self._max_pixels = max_pixels
        self.total = len(self._paths)

    def __iter__(self) -> Iterator[Frame]:
        # The next image is decoded while this one is read: on a GPU decoding is the longer part.
        with ThreadPoolExecutor(1, "edge-lpr images") as decoder:
            coming: Future[Image | None] | None = None
            for number, path in enumerate(self._paths):
                self.received = min((number + 1) * self._stride, self._count)
                try:
                    image = None if coming is None else coming.result()
                    if image is None:
                        image = read_image(path, self._max_pixels)
                except SourceError as e:
                    image = None
                    self.skipped += 1
                    self.on_warning(str(e))
                taken = 0 if image is None else image.nbytes
                following = self._paths[number + 1 : number + 2]
                coming = decoder.submit(self._ahead, following[0], taken) if following else None
                if image is not None:
                    yield Frame(image, number * self._stride, None, str(path))
        self.state = "done"

    def _ahead(self, path: Path, taken: int) -> Image | None:
        """Decodes an image while another takes so many bytes; None where both would be too much."""
        room = BYTES_PER_PIXEL * self._max_pixels - taken
        with contextlib.suppress(OSError):  # what is wrong with it is told in its turn
            if path.stat().st_size > room:
                return None
        data = read_image_file(path)
        header = read_header(data)
        # Of what Pillow reads, what it takes is known once it is opened.
        if header is None or len(data) + BYTES_PER_PIXEL * header.counted > room:
            return None
        return decode_image(data, str(path), self._max_pixels)
