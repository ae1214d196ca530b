"""The pipeline over images: detect, crop, recognize in batches, decode, judge."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.backends import open_models
from edge_lpr.bundle.manifest import PRECISIONS, Bundle, load_bundle
from edge_lpr.errors import SettingError
from edge_lpr.pipeline.ctc import PlateDecoder, Reading
from edge_lpr.pipeline.detector import Box, Detector, DetectorSettings
from edge_lpr.pipeline.ordered_pool import in_order
from edge_lpr.pipeline.recognizer import Recognizer, crop_plate
from edge_lpr.plates import PlateRead
from edge_lpr.plates.read import TEXT
from edge_lpr.plates.two_line import TWO_ROW_ASPECT, unfold_rows

if TYPE_CHECKING:
    from edge_lpr.pipeline.tracker import PlateEvent

Image = NDArray[np.uint8]

# A box whose width is outside this many heights cannot be a plate, however it is tilted: GA 36 plates are
# 3.1 and 3.4 heights wide, a detector's box takes in a frame or loses a character.
PLATE_ASPECT = (1.3, 8.0)
# An upright reading whose lowest character score reaches this needs no second look turned round.
SURE = 0.5
# Batches at work at once on a GPU: one there, the others' images resized, cropped and decoded on the host.
GPU_WORKERS = 4


class PlateReader:
    """Reads plates from images, videos and cameras.

    Args:
        bundle: The folder of a model bundle; None takes the one that the package carries.
        backend: "auto", "onnxruntime" or "tensorrt".
        precision: "fp32", "fp16", "int8", or "auto": FP32 in ONNX Runtime, in TensorRT what has engines.
        engines: The folder of TensorRT engines, as `edge-lpr build --out` made it; None is that of
            $EDGE_LPR_ENGINES, or in the user's cache.
        tensorrt: How TensorRT runs, where it does: `slots`, `graphs` and `mapped` of
            `edge_lpr.backends.tensorrt.backend.TensorRTBackend` that differ from their defaults.
        settings: PP-OCR's detection parameters that differ from the bundle's, by name.
        threads: Threads of a backend that runs on the CPU; None is one per core.
        any_text: Whether what reads better as no plate is reported too, as kind "text".
        min_score: A plate is reported when its lowest character score reaches this, 0 to 1; the default
            asks of every character that it is more likely right than wrong.
        format_prior: How strongly plates are preferred over free text, in nats; see `PlateDecoder`.

    Attributes:
        bundle: The bundle.
        workers: Batches that `read_batches` works on at once: 1 on a CPU, whose cores one keeps busy.

    Raises:
        SettingError: An argument is out of its range.
        BundleError: The bundle is missing or damaged, or lacks the precision.
        BackendError: The backend cannot run here.
    """

    def __init__(
        self,
        bundle: str | Path | None = None,
        backend: str = "auto",
        precision: str = "auto",
        *,
        engines: str | Path | None = None,
        tensorrt: Mapping[str, Any] | None = None,
        settings: Mapping[str, object] | None = None,
        threads: int | None = None,
        any_text: bool = False,
        min_score: float = 0.5,
        format_prior: float = 12.0,
    ) -> None:
        if precision not in ("auto", *PRECISIONS):
            raise SettingError(f"precision {precision!r}: expected auto, {', '.join(PRECISIONS)}")
        if not 0 <= min_score <= 1:
            raise SettingError(f"min_score is {min_score!r}, expected a number from 0 to 1")
        if threads is not None and threads < 1:
            raise SettingError(f"threads is {threads!r}, expected 1 or more")
        if not format_prior >= 0:
            raise SettingError(f"format_prior is {format_prior!r}, expected 0 or more nats")
        self.bundle: Bundle = load_bundle(bundle)
        self.any_text = any_text
        self.min_score = min_score
        detector = DetectorSettings.for_model(self.bundle.det).changed(settings or {})
        models = open_models(
            self.bundle,
            backend=backend,
            precision=precision,
            threads=threads,
            engines=engines,
            tensorrt=tensorrt,
        )
        self._why = models.why
        self.workers = 1 if models.det.device == "cpu" else min(GPU_WORKERS, os.cpu_count() or 1)
        self.detector = Detector(models.det, self.bundle.det, detector)
        self.recognizer = Recognizer(models.rec, self.bundle.rec)
        self.decoder = PlateDecoder(self.bundle.rec.charset, self.bundle.rec.unknown_class, format_prior)

    @property
    def description(self) -> str:
        """One line: the bundle, what runs it on which device and in which precision, and why."""
        return f"{self.bundle.name}: {self._why}"

    def __enter__(self) -> PlateReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees both models; may be called twice."""
        self.detector.backend.close()
        self.recognizer.backend.close()

    def read(self, image: Image) -> list[PlateRead]:
        """Reads the plates of one image.

        Args:
            image: uint8 H×W×3 BGR.

        Returns:
            The plates, from top to bottom and left to right.

        Raises:
            SettingError: Not such an array.
            BackendError: The backend failed.
        """
        return self.read_batch([image])[0]

    def read_batch(self, images: Sequence[Image]) -> list[list[PlateRead]]:
        """Reads the plates of several images, whose crops are recognized together.

        Args:
            images: uint8 H×W×3 BGR, of any sizes.

        Returns:
            The plates of each image, in the images' order.
        """
        for image in images:
            _check_image(image)
        owners: list[int] = []
        boxes: list[Box] = []
        crops: list[Image] = []
        for i, found in enumerate(self.detector.detect_batch(images)):
            for box in found:
                crop = crop_plate(images[i], box.corners)
                if self.any_text or PLATE_ASPECT[0] <= crop.shape[1] / crop.shape[0] <= PLATE_ASPECT[1]:
                    owners.append(i)
                    boxes.append(box)
                    crops.append(crop)
        reads: list[list[PlateRead]] = [[] for _ in images]
        for i, read in zip(owners, self._recognize(crops, boxes), strict=True):
            if read is not None:
                reads[i].append(read)
        return [sorted(plates, key=lambda r: tuple(r.corners.min(axis=0)[::-1])) for plates in reads]

    def read_batches(
        self, batches: Iterable[Sequence[Image]]
    ) -> Generator[list[list[PlateRead]], None, None]:
        """Reads batch after batch; on a GPU, several are at work at once.

        Args:
            batches: As for `read_batch`, each; taken at most `workers` ahead of what is given out.

        Yields:
            What `read_batch` gives of each batch, in their order; close it where you stop before the end.
        """
        for _, reads in in_order(self.read_batch, batches, self.workers):
            yield reads

    def read_crops(self, crops: Sequence[Image]) -> list[PlateRead | None]:
        """Reads images that are each a plate already cut out.

        Args:
            crops: uint8 h×w×3 BGR.

        Returns:
            For each crop its plate, with the crop's own corners; None where it shows none.
        """
        for crop in crops:
            _check_image(crop)
        whole = [
            Box(np.array([[0, 0], [c.shape[1], 0], c.shape[1::-1], [0, c.shape[0]]], np.float32), 1.0)
            for c in crops
        ]
        return self._recognize(crops, whole)

    def events(self, source: str | int | Path) -> Iterator[PlateEvent]:
        """Reads any source and gives one event per vehicle.

        Args:
            source: An image, folder, glob, video file, camera index, address or GStreamer pipeline.

        Raises:
            SourceError: The source cannot be opened.
        """
        from edge_lpr.pipeline.stream import read_stream

        for result in read_stream(self, source):
            yield from result.events

    def _recognize(self, crops: Sequence[Image], boxes: Sequence[Box]) -> list[PlateRead | None]:
        readings = [self.decoder.decode(p) for p in self.recognizer.probabilities(crops)]
        corners = [box.corners for box in boxes]
        # A doubtful reading gets a second look, all in one batch: turned round, since in CCPD the order of a
        # box's corners can turn a plate upside down and so can a camera; and unfolded, where two rows fit in.
        looks: list[tuple[int, Image, bool]] = []
        for i, (reading, crop) in enumerate(zip(readings, crops, strict=True)):
            if reading.format is None or reading.min_score < SURE:
                looks.append((i, np.ascontiguousarray(crop[::-1, ::-1]), True))
                if crop.shape[1] < TWO_ROW_ASPECT * crop.shape[0]:
                    looks.append((i, unfold_rows(crop), False))
        second = self.recognizer.probabilities([look for _, look, _ in looks])
        for (i, _, turned), probs in zip(looks, second, strict=True):
            reading = self.decoder.decode(probs)
            if self._rank(reading) > self._rank(readings[i]):
                readings[i] = reading
                corners[i] = np.roll(boxes[i].corners, 2, axis=0) if turned else boxes[i].corners
        return [self._judge(*found) for found in zip(readings, crops, boxes, corners, strict=True)]

    def _rank(self, reading: Reading) -> tuple[bool, float]:
        """What is better: a plate that can be reported, and then the surer reading."""
        return reading.format is not None and reading.min_score >= self.min_score, reading.score

    def _judge(
        self, reading: Reading, crop: Image, box: Box, corners: NDArray[np.float32]
    ) -> PlateRead | None:
        if reading.format is None:
            if not (self.any_text and reading.text):
                return None
            kind = TEXT
        else:
            if reading.min_score < self.min_score:
                return None
            kind = reading.format.kind(crop)
        return PlateRead(
            text=reading.text,
            kind=kind,
            score=reading.score,
            min_score=reading.min_score,
            char_scores=reading.char_scores,
            corners=corners,
            det_score=box.score,
            log_probs=reading.log_probs,
        )


def _check_image(image: Image) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = (
            f"{image.dtype} {'×'.join(map(str, image.shape))}"
            if isinstance(image, np.ndarray)
            else type(image).__name__
        )
        raise SettingError(f"an image is {found}, expected a uint8 H×W×3 array in BGR order")
    if 0 in image.shape:
        raise SettingError(f"an image of {image.shape[1]}×{image.shape[0]} pixels is empty")
