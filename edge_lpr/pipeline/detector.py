"""DB text detection: images through the network, and boxes out of its map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import cv2

from edge_lpr.backends.base import Backend
from edge_lpr.backends.lending import Loan, lend
from edge_lpr.bundle.manifest import DetSpec
from edge_lpr.pipeline.db_postprocess import Box, db_boxes
from edge_lpr.pipeline.network_output import ProbabilityMap, check_shape, read_maps
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.types import Image, Size


class Detector:
    """Runs a DB network and reads its map.

    Args:
        backend: The loaded network.
        model: Its input specification.
        settings: Post-processing and input size; None takes those of the bundle.
        frames: The same network with the resizing in it, for frames of one camera size each; by the frames'
            size and by that of the network's input, heights and widths in pixels.
    """

    def __init__(
        self,
        backend: Backend,
        model: DetSpec,
        settings: DetectorSettings | None = None,
        frames: Mapping[tuple[Size, Size], Backend] | None = None,
    ) -> None:
        self.backend = backend
        self.model = model
        self.settings = DetectorSettings.for_model(model) if settings is None else settings
        self.frames = dict(frames or {})

    def detect(self, image: Image) -> list[Box]:
        """Finds the text boxes of one image.

        Args:
            image: uint8 H×W×3 BGR.

        Raises:
            BackendError: The network failed, or returned something that is no probability map: of another
                shape, or not finite.
        """
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[Image], longer_side: int | None = None) -> list[list[Box]]:
        """Finds the text boxes of several images; those that get the same input size run as one batch.

        Args:
            images: uint8 H×W×3 BGR, of any sizes.
            longer_side: What the longer side is brought to, in pixels, in place of the settings' size; images
                are never enlarged for it.

        Returns:
            The boxes of each image, in the images' order.
        """
        contents = [self.input_size(image.shape[0], image.shape[1], longer_side) for image in images]
        # By what takes whole frames of a size and makes an input of a size of them, if anything does.
        groups: dict[tuple[tuple[Size, Size] | None, Size], list[int]] = {}
        for i, content in enumerate(contents):
            whole = (images[i].shape[0], images[i].shape[1]), content
            if whole in self.frames:
                groups.setdefault((whole, content), []).append(i)
            else:
                frame, contents[i] = fit_frame(content, self.backend.sizes)
                groups.setdefault((None, frame), []).append(i)
        boxes: list[list[Box]] = [[] for _ in images]
        for (taker, frame), members in groups.items():
            backend = self.backend if taker is None else self.frames[taker]
            step = backend.max_batch or backend.preferred_batch
            for start in range(0, len(members), step):
                part = members[start : start + step]
                shape = frame if taker is None else taker[0]
                with lend(backend, self.model.input_name, (len(part), *shape, 3)) as loan:
                    for slot, i in zip(loan.batch, part, strict=True):
                        _fill(slot, images[i], shape if taker else contents[i])
                    for i, found in zip(part, self._maps(backend, loan, frame), strict=True):
                        boxes[i] = db_boxes(found.part(*contents[i]), self.settings, images[i].shape[:2])
        return boxes

    def input_size(self, height: int, width: int, longer_side: int | None = None) -> Size:
        """Returns the height and width, in pixels, that an image of this size is resized to."""
        settings = self.settings
        if longer_side is not None:
            settings = replace(settings, det_limit_type="max", det_limit_side_len=longer_side)
        return input_size(self.model, settings, height, width)

    def _maps(self, backend: Backend, loan: Loan, size: Size) -> list[ProbabilityMap]:
        model = self.model
        maps = read_maps(loan.run(), model.output_name, self.settings.thresh, backend, model.precisions)
        check_shape(maps, len(loan.batch), size)
        return maps


def _fill(slot: Image, image: Image, content: Size) -> None:
    """Brings an image into its place in a batch, at the top left corner; what it leaves free is black."""
    height, width = content
    cv2.resize(image, (width, height), dst=slot[:height, :width], interpolation=cv2.INTER_LINEAR)
    slot[:height, width:] = 0
    slot[height:] = 0


def fit_frame(content: Size, sizes: Sequence[Size] | None) -> tuple[Size, Size]:
    """Chooses the input that a resized image goes into, at its top left corner, where only some sizes run.

    Args:
        content: Height and width of the resized image, in pixels.
        sizes: The heights and widths that the backend takes; None where it takes any.

    Returns:
        The input's height and width: the smallest that holds the image, else the one that it has to shrink
        least for. And the height and width of the image in it.
    """
    if sizes is None:
        return content, content
    holding = [size for size in sizes if size[0] >= content[0] and size[1] >= content[1]]
    if holding:
        return min(holding, key=lambda size: size[0] * size[1]), content
    frame = max(sizes, key=lambda size: min(size[0] / content[0], size[1] / content[1]))
    ratio = min(frame[0] / content[0], frame[1] / content[1])
    return frame, (max(int(content[0] * ratio), 1), max(int(content[1] * ratio), 1))


def input_size(model: DetSpec, settings: DetectorSettings, height: int, width: int) -> Size:
    """Returns the height and width, in pixels, that an image of a size is resized to.

    PP-OCR's `DetResizeForTest` of type 0, and then the bundle's `max_side_len`, which bounds time and memory
    for an image as long as a strip.
    """
    side = settings.det_limit_side_len
    if settings.det_limit_type == "max":
        ratio = min(1.0, side / max(height, width))
    else:
        ratio = max(1.0, side / min(height, width))
    ratio = min(ratio, model.max_side_len / max(height, width))
    return (
        max(round(int(height * ratio) / model.stride) * model.stride, model.stride),
        max(round(int(width * ratio) / model.stride) * model.stride, model.stride),
    )
