"""The pipeline over images: detect, crop, recognize in batches, decode, judge."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from edge_lpr.backends import AUTO, Models, open_models
from edge_lpr.bundle.manifest import Bundle, load_bundle
from edge_lpr.errors import SettingError
from edge_lpr.health.activity import Activity
from edge_lpr.io.capture import CaptureOptions
from edge_lpr.pipeline.crop import Crop
from edge_lpr.pipeline.ctc import PlateDecoder, Reading
from edge_lpr.pipeline.detector import Detector
from edge_lpr.pipeline.events import PlateEvent, Report
from edge_lpr.pipeline.ordered_pool import in_order
from edge_lpr.pipeline.reading import read_stream
from edge_lpr.pipeline.recognizer import Recognizer
from edge_lpr.pipeline.settings import MIN_SIDE, DetectorSettings, ReadSettings, TrackSettings, split_settings
from edge_lpr.pipeline.views import View
from edge_lpr.plates import PlateRead
from edge_lpr.plates.read import TEXT
from edge_lpr.precisions import PRECISIONS
from edge_lpr.signatures import load_public_key
from edge_lpr.types import Image, Probs

_RESCANS = (1.0, 0.7)
"""An image that shows no plate is searched again at these shares of `rescan_side`, one after the other: a
plate half as wide as the picture is found at the first, one that fills it at the second."""

_SIDES = (View(1), View(3))
"""A picture that shows no plate, or only plates that stand on end, may lie on its side."""
_WIDE, _WIDEST = 2.0, 6.0
_SMALL, _HIGH = 160, 1.3
"""A picture with a plate's proportions may be a plate cut out; photos are seldom wider than twice their
height. One in two rows, seen from the side, has a photo's proportions, but not its size (in pixels)."""


class PlateReader:
    """Reads plates from images, videos and cameras.

    Args:
        bundle: The folder of a model bundle; None takes the one that the package carries.
        backend: "auto" or the name of a backend; see `edge_lpr.backends.BACKENDS`.
        precision: A precision that the bundle has, or "auto": FP32 in ONNX Runtime, in TensorRT what has
            engines.
        models: Opened models of one's own, in place of those that backend and precision name; the reader
            closes them. The bundle still says what they take.
        threads: Threads of a backend that runs on the CPU; None is one per core.
        options: More settings of backends by name: `engines` (the folder of TensorRT engines, as `edge-lpr
            build --out` made it), `slots`, `graphs`, `mapped`; see `edge_lpr.backends`.
        any_text: Whether what reads better as no plate is reported too, as kind "text".
        min_score: A plate or event is reported when its lowest character score reaches this, 0 to 1.
        format_prior: How strongly plates are preferred over free text, in nats; see `PlateDecoder`.
        settings: Further thresholds that differ from the bundle's and the defaults, by the names of the
            fields in `edge_lpr.pipeline.settings`.
        verify_key: The public key that bundle and engines have to be signed with, as a file or itself; None
            asks for no signature.

    Attributes:
        bundle: The bundle.
        settings: What counts as a plate.
        tracking: How the reads of one vehicle are joined.
        activity: What it is at, and for how long: for a watchdog.
        workers: Batches that `read_batches` works on at once: 1 on a CPU, whose cores one keeps busy.

    Raises:
        SettingError: An argument is out of its range.
        BundleError: The bundle is missing or damaged, or lacks the precision.
        SignatureError: Bundle or engine is not signed by that key, or is not what was signed.
        BackendError: The backend cannot run here.
    """

    def __init__(
        self,
        bundle: str | Path | None = None,
        backend: str = AUTO,
        precision: str = AUTO,
        *,
        models: Models | None = None,
        threads: int | None = None,
        options: Mapping[str, Any] | None = None,
        any_text: bool = ReadSettings.any_text,
        min_score: float = ReadSettings.min_score,
        format_prior: float = ReadSettings.format_prior,
        settings: Mapping[str, object] | None = None,
        verify_key: str | Path | None = None,
    ) -> None:
        if precision != AUTO and precision not in PRECISIONS:
            raise SettingError(f"precision {precision!r}: expected auto, {', '.join(PRECISIONS.names())}")
        if models is not None and (backend, precision, threads, options) != (AUTO, AUTO, None, None):
            raise SettingError(
                "models are given, so backend, precision, threads and options say nothing; leave them out"
            )
        det, read, track = split_settings(settings or {})
        self.settings = ReadSettings(any_text, min_score, format_prior).changed(read)
        self.tracking = TrackSettings().changed(track)
        self.bundle: Bundle = load_bundle(bundle, load_public_key(verify_key))
        spec = self.bundle.det
        detection = DetectorSettings.for_model(spec).changed(det)
        if models is None:
            given = {**(options or {}), **({} if threads is None else {"threads": threads})}
            models = open_models(self.bundle, backend=backend, precision=precision, options=given)
            if self.settings.crops_only:  # backends open both models or none
                models.det.close()
        rotate = self.settings.rotate
        self._view = View(0 if rotate == AUTO else int(rotate) // 90, self.settings.flip)
        self._models = models
        self.activity = Activity("the models")
        self.workers = models.det.concurrency
        self.detector = Detector(models.det, spec, detection)
        self.recognizer = Recognizer(models.rec, self.bundle.rec)
        self.decoder = PlateDecoder(
            self.bundle.rec.charset, self.bundle.rec.unknown_class, self.settings.format_prior
        )

    @property
    def description(self) -> str:
        """One line: the bundle, what runs it on which device and in which precision, and why."""
        return f"{self.bundle.name}: {self._models.why}"

    def __enter__(self) -> PlateReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees both models; may be called twice."""
        self._models.close()

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

    def read_batch(
        self, images: Sequence[Image], rescan: Sequence[bool] | None = None
    ) -> list[list[PlateRead]]:
        """Reads the plates of several images, whose crops are recognized together.

        Args:
            images: uint8 H×W×3 BGR, of any sizes.
            rescan: Of the frames of a video, whether each is searched again at `rescan_side` where it shows
                no plate. None for pictures: each is, on its sides too, and one with a plate's proportions is
                read as a plate that was cut out. With the setting `crops_only`, each image is.

        Returns:
            The plates of each image, in the images' order.
        """
        for image in images:
            _check_image(image)
        with self.activity:
            return self._read_batch(images, rescan)

    def _read_batch(self, images: Sequence[Image], rescan: Sequence[bool] | None) -> list[list[PlateRead]]:
        views = [self._view.of(image) for image in images]
        found = self._read_whole(views) if self.settings.crops_only else self._find(views, rescan)
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
            self._search(reads, views, self._read_whole, [_may_be_plate(view) for view in views], sure=True)
        self._search(reads, views, self._read_at)
        for share in _RESCANS if self.settings.rescan_side else ():
            side = max(round(share * self.settings.rescan_side), MIN_SIDE)
            again = [w and side < max(view.shape[:2]) for w, view in zip(wanted, views, strict=True)]
            self._search(reads, views, partial(self._read_at, longer_side=side), again, sure=True)
        if stills and self.settings.rotate == AUTO:
            on_end = [found if all(_stands_on_end(read) for read in found) else [] for found in reads]
            reads = [[] if lying else found for lying, found in zip(on_end, reads, strict=True)]
            for side_view in _SIDES:
                self._search(reads, views, partial(self._read_turned, view=side_view), sure=True)
            reads = [found or lying for lying, found in zip(on_end, reads, strict=True)]
        return reads

    def _search(
        self,
        reads: list[list[PlateRead]],
        images: Sequence[Image],
        search: Callable[[Sequence[Image]], list[list[PlateRead]]],
        wanted: Sequence[bool] | None = None,
        *,
        sure: bool = False,
    ) -> None:
        """Searches the images that show no plate yet, of those that are wanted."""
        left = [i for i, found in enumerate(reads) if not found and (wanted is None or wanted[i])]
        for i, plates in zip(left, search([images[i] for i in left]), strict=True):
            reads[i] = [r for r in plates if not sure or r.min_score >= self.settings.rescan_score]

    def _read_whole(self, images: Sequence[Image]) -> list[list[PlateRead]]:
        found = self._recognize([[Crop.of_whole(image)] for image in images])
        return [[] if read is None else [read] for read in found]

    def _read_turned(self, images: Sequence[Image], view: View) -> list[list[PlateRead]]:
        # Twice the size of the second search: a plate in a picture on its side is seldom a small one.
        side = 2 * self.settings.rescan_side or None
        found = self._read_at([view.of(image) for image in images], side)
        return [
            [view.back(read, image.shape[:2]) for read in plates]
            for image, plates in zip(images, found, strict=True)
        ]

    def _read_at(self, images: Sequence[Image], longer_side: int | None = None) -> list[list[PlateRead]]:
        owners: list[int] = []
        places: list[list[Crop]] = []
        for i, found in enumerate(self.detector.detect_batch(images, longer_side)):
            for box in found:
                crops = [Crop.of_box(images[i], quad, box.score) for quad in box.outlines()]
                if not self.settings.any_text:
                    crops = [crop for crop in crops if self.settings.has_plate_shape(crop.image)]
                if crops:
                    owners.append(i)
                    # Whichever way a plate reads better, the first outline is the truer one.
                    places.append([replace(crop, corners=crops[0].corners) for crop in crops])
        reads: list[list[PlateRead]] = [[] for _ in images]
        for i, read in zip(owners, self._recognize(places), strict=True):
            if read is not None:
                reads[i].append(read)
        return reads

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
        with self.activity:
            return self._recognize([[Crop.of_whole(crop)] for crop in crops])

    def events(
        self, source: str | int | Path, report: Report | None = None, options: CaptureOptions | None = None
    ) -> Iterator[PlateEvent]:
        """Reads any source and gives events of the vehicles; those of one vehicle have one `id`.

        Args:
            source: An image, folder, glob, video file, camera index, address or GStreamer pipeline.
            report: "end" gives one event per vehicle, once its passage is over; "new" gives it as soon as it
                is known; "all" gives both, and each change of its text ("update"). None is "all" for cameras
                and streams and "end" for files. A plate of an image is always an event of its own, "end".
            options: How videos and live sources are read. By default a camera that cannot be reached is tried
                again for ever, with a warning in the log.

        Raises:
            SourceError: The source cannot be opened.
            SettingError: No such report.
        """
        for result in read_stream(self, source, options, report):
            yield from result.events

    def _recognize(self, places: Sequence[Sequence[Crop]]) -> list[PlateRead | None]:
        """Reads places, each cut out in one or several ways, of which the best reading counts."""
        posteriors = iter(self._probabilities([crop for place in places for crop in place]))
        best: list[tuple[Reading, Crop]] = []
        for place in places:
            readings = [(self.decoder.decode(next(posteriors)), crop) for crop in place]
            best.append(max(readings, key=lambda one: self._rank(one[0])))
        # A doubtful reading is tried again, all in one batch: turned round, since in CCPD the order of a
        # box's corners can turn a plate upside down and so can a camera; mirrored, since what a mirror shows
        # of a plate may be another one when it is turned round; and unfolded, where two rows fit in.
        retries: list[tuple[int, Crop]] = []
        for i, (reading, crop) in enumerate(best):
            if not self._is_plate(reading) or reading.min_score < self.settings.retry_below:
                retries += (i, crop.turned()), (i, crop.mirrored())
                # Read as one row, two say nothing about which crop shows them better.
                retries.extend((i, other.unfolded()) for other in places[i] if other.is_high)
        for (i, crop), probs in zip(retries, self._probabilities([c for _, c in retries]), strict=True):
            reading = self.decoder.decode(probs)
            if crop.is_mirrored and reading.format is None:
                continue  # a text that is no plate is reported as it stands there
            if self._rank(reading) > self._rank(best[i][0]):
                best[i] = reading, crop
        return [self._judge(reading, crop) for reading, crop in best]

    def _probabilities(self, crops: Sequence[Crop]) -> list[Probs]:
        return self.recognizer.probabilities([crop.image for crop in crops])

    def _rank(self, reading: Reading) -> tuple[bool, float]:
        """What is better: a plate that can be reported, and then the surer reading."""
        return self._is_plate(reading), reading.score

    def _is_plate(self, reading: Reading) -> bool:
        """Tells whether a reading is a plate, and sure enough to be reported."""
        return reading.format is not None and reading.min_score >= self.settings.min_score

    def _judge(self, reading: Reading, crop: Crop) -> PlateRead | None:
        if reading.format is None:
            if not (self.settings.any_text and reading.text):
                return None
            kind = TEXT
        else:
            if reading.min_score < self.settings.min_score or crop.is_mirrored:
                return None
            left, right = crop.at_border
            if reading.format.is_cut(reading.text, crop.plate, left=left, right=right):
                return None
            kind = reading.format.kind(crop.plate)
        return PlateRead(
            text=reading.text,
            kind=kind,
            score=reading.score,
            min_score=reading.min_score,
            char_scores=reading.char_scores,
            corners=crop.corners,
            det_score=crop.det_score,
            log_probs=reading.log_probs,
        )


def _stands_on_end(read: PlateRead) -> bool:
    """Tells whether a plate is higher than wide in the picture: most that stand so are not found."""
    wide, high = np.ptp(read.corners, axis=0)
    return bool(high > wide)


def _may_be_plate(image: Image) -> bool:
    """Tells whether a whole picture has the shape of a plate that was cut out."""
    height, width = image.shape[:2]
    return bool(_WIDE <= width / height <= _WIDEST or (height <= _SMALL and _HIGH <= width / height < _WIDE))


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
