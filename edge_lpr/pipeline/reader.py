"""The pipeline over images: detect, crop, recognize in batches, decode, judge."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

import numpy as np

from edge_lpr.backends import AUTO, Models, open_models
from edge_lpr.bundle.manifest import Bundle, load_bundle
from edge_lpr.errors import SettingError
from edge_lpr.health.activity import Activity
from edge_lpr.io.capture import CaptureOptions
from edge_lpr.io.image_input import ImageLike, as_image
from edge_lpr.pipeline.crop import Crop
from edge_lpr.pipeline.ctc import PlateDecoder, Reading
from edge_lpr.pipeline.detector import Detector
from edge_lpr.pipeline.events import PlateEvent, Report
from edge_lpr.pipeline.ordered_pool import in_order
from edge_lpr.pipeline.reading import SourceName, read_sources
from edge_lpr.pipeline.recognizer import Recognizer
from edge_lpr.pipeline.settings import MIN_SIDE, DetectorSettings, ReadSettings, TrackSettings, split_settings
from edge_lpr.pipeline.stream import FrameResult
from edge_lpr.pipeline.views import View
from edge_lpr.plates import PlateRead
from edge_lpr.plates.read import TEXT
from edge_lpr.precisions import PRECISIONS
from edge_lpr.signatures import load_public_key
from edge_lpr.types import Image, Probs

if TYPE_CHECKING:
    from typing_extensions import Unpack

_RESCANS = (1.0, 0.7)
"""An image that shows no plate is searched again at these shares of `rescan_side`, one after the other: a
plate half as wide as the picture is found at the first, one that fills it at the second."""

_SIDES = (View(1), View(3))
"""A picture that shows no plate, or only plates that stand on end, may lie on its side."""
_WIDE, _WIDEST = 2.0, 6.0
_SMALL, _HIGH = 160, 1.3
"""A picture with a plate's proportions may be a plate cut out; photos are seldom wider than twice their
height. One in two rows, seen from the side, has a photo's proportions, but not its size (in pixels)."""


class EventOptions(TypedDict, total=False):
    """The keywords of `PlateReader.events`, as the command's options of these names; all may be left out.

    Attributes:
        report: "end" gives one event per vehicle, once its passage is over; "new" gives it as soon as it is
            known; "all" gives both, and each change of its text ("update"). None is "all" for cameras and
            streams and "end" for files. A plate of an image is always an event of its own, "end".
        rotate: "auto", "0", "90", "180" or "270": pictures and frames are turned clockwise by so many
            degrees; by default as the reader does.
        flip: Whether pictures and frames are mirrored first; by default as the reader does.
        stride: Every Nth frame or image is read.
        timeout: Seconds that a camera or address may take to answer, and from one frame to the next.
        reconnect: Seconds for which a source that is not reached, or was lost, is tried again; 0: not at all;
            `math.inf`, for ever, by default.
        max_pause: The pause between two such tries grows to so many seconds.
        snapshot_interval: Seconds between two requests to an http address that gives one picture at a time.
        any_certificate: Whether https cameras are trusted whatever certificate they show.
        max_pixels: Pixels that an image or frame may have.
    """

    report: Report | None
    rotate: Literal["auto", "0", "90", "180", "270"]
    flip: bool
    stride: int
    timeout: float
    reconnect: float
    max_pause: float
    snapshot_interval: float
    any_certificate: bool
    max_pixels: int


class _Found(NamedTuple):
    """One way to read a place: what was read, in which posterior, and of which crop."""

    reading: Reading
    probs: Probs
    crop: Crop


class PlateReader:
    """Reads plates from images, videos and cameras.

    Args:
        bundle: The folder of a model bundle; None takes the one that the package carries.
        backend: "auto" or the name of a backend; see `edge_lpr.backends.BACKENDS`.
        precision: A precision that the bundle has, or "auto": in TensorRT what has engines; in ONNX Runtime
            FP32, or on a CPU `int8-cpu` where that was measured to be faster here.
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
        self._view = _view_of(self.settings)
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

    def read(self, image: ImageLike) -> list[PlateRead]:
        """Reads the plates of one image.

        Args:
            image: A path (str or `os.PathLike`); a Pillow image, turned as its EXIF says; or an array as
                OpenCV gives it, uint8 or uint16: grey H×W, BGR H×W×3 or BGRA H×W×4.

        Returns:
            The plates, from top to bottom and left to right.

        Raises:
            SettingError: None, or something else than these.
            SourceError: The file cannot be read as an image.
            BackendError: The backend failed.
        """
        return self.read_batch([image])[0]

    def read_batch(
        self, images: Sequence[ImageLike], rescan: Sequence[bool] | None = None
    ) -> list[list[PlateRead]]:
        """Reads the plates of several images, whose crops are recognized together.

        Args:
            images: What `read` takes, of any sizes.
            rescan: Of the frames of a video, whether each is searched again at `rescan_side` where it shows
                no plate. None for pictures: each is, on its sides too, and one with a plate's proportions is
                read as a plate that was cut out. With the setting `crops_only`, each image is.

        Returns:
            The plates of each image, in the images' order.
        """
        taken = [as_image(image) for image in images]
        with self.activity:
            return self._read_batch(taken, rescan)

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
        self, batches: Iterable[Sequence[ImageLike]]
    ) -> Generator[list[list[PlateRead]], None, None]:
        """Reads batch after batch; on a GPU, several are at work at once.

        Args:
            batches: As for `read_batch`, each; taken at most `workers` ahead of what is given out.

        Yields:
            What `read_batch` gives of each batch, in their order; close it where you stop before the end.
        """
        for _, reads in in_order(self.read_batch, batches, self.workers):
            yield reads

    def read_crops(self, crops: Sequence[ImageLike]) -> list[PlateRead | None]:
        """Reads images that are each a plate already cut out.

        Args:
            crops: What `read` takes.

        Returns:
            For each crop its plate, with the crop's own corners; None where it shows none.
        """
        taken = [as_image(crop) for crop in crops]
        with self.activity:
            return self._recognize([[Crop.of_whole(crop)] for crop in taken])

    def events(self, *sources: SourceName, **options: Unpack[EventOptions]) -> Iterator[PlateEvent]:
        """Reads any sources and gives events of the vehicles; those of one vehicle have one `id`.

        Files are read in order, then all cameras and streams at once, each at its newest frame. What is wrong
        with one does not end the reading of the others.

        Args:
            sources: Images, folders, globs, video files, camera indices, addresses and GStreamer pipelines.
            options: `report`, and how videos and live sources are read; see `EventOptions`. By default a
                camera that cannot be reached is tried again for ever, with a warning in the log.

        Raises:
            SourceError: A source cannot be opened, or nothing of it can be read; raised once all others are
                read.
            SettingError: No such report, or an option that is none or out of its range.
        """
        for result in self.steps(*sources, **options):
            yield from result.events

    def steps(
        self, *sources: SourceName, stop: threading.Event | None = None, **options: Unpack[EventOptions]
    ) -> Iterator[FrameResult]:
        """Reads any sources frame by frame; as `events` otherwise, and what it takes.

        Args:
            sources: As for `events`.
            stop: Ends the reading once it is set, from whichever thread, within a batch or a fifth of a
                second.
            options: As for `events`.

        Yields:
            A step per frame, with what it shows and the events; and steps without a frame where time alone
            told something.
        """
        capture: dict[str, object] = dict(options)
        report = options.get("report")
        turning: dict[str, object] = {
            name: capture.pop(name) for name in ("rotate", "flip") if name in capture
        }
        capture.pop("report", None)
        opened = CaptureOptions().changed(capture)
        return read_sources(self._changed(turning), *sources, options=opened, report=report, stop=stop)

    def _changed(self, changes: Mapping[str, object]) -> PlateReader:
        """Returns a reader with the same models that heeds other settings of `ReadSettings`."""
        other = copy(self)
        other.settings = self.settings.changed(changes)
        other._view = _view_of(other.settings)
        return other

    def _recognize(self, places: Sequence[Sequence[Crop]]) -> list[PlateRead | None]:
        """Reads places, each cut out in one or several ways, of which the best reading counts."""
        posteriors = iter(self._probabilities([crop for place in places for crop in place]))
        best: list[_Found] = []
        for place in places:
            readings = [_Found(self.decoder.decode(probs := next(posteriors)), probs, crop) for crop in place]
            best.append(max(readings, key=lambda one: self._rank(one.reading)))
        # A doubtful reading is tried again, all in one batch: turned round, since in CCPD the order of a
        # box's corners can turn a plate upside down and so can a camera; mirrored, since what a mirror shows
        # of a plate may be another one when it is turned round; and unfolded, where two rows fit in.
        retries: list[tuple[int, Crop]] = []
        for i, (reading, _, crop) in enumerate(best):
            if not self._is_plate(reading) or reading.min_score < self.settings.retry_below:
                retries += (i, crop.turned()), (i, crop.mirrored())
                # Read as one row, two say nothing about which crop shows them better.
                retries.extend((i, other.unfolded()) for other in places[i] if other.is_high)
        for (i, crop), probs in zip(retries, self._probabilities([c for _, c in retries]), strict=True):
            reading = self.decoder.decode(probs)
            if crop.is_mirrored and reading.format is None:
                continue  # a text that is no plate is reported as it stands there
            if self._rank(reading) > self._rank(best[i].reading):
                best[i] = _Found(reading, probs, crop)
        return [self._judge(*found) for found in best]

    def _probabilities(self, crops: Sequence[Crop]) -> list[Probs]:
        return self.recognizer.probabilities([crop.image for crop in crops])

    def _rank(self, reading: Reading) -> tuple[bool, float]:
        """What is better: a plate that can be reported, and then the surer reading."""
        return self._is_plate(reading), reading.score

    def _is_plate(self, reading: Reading) -> bool:
        """Tells whether a reading is a plate, and sure enough to be reported."""
        return reading.format is not None and reading.min_score >= self.settings.min_score

    def _judge(self, reading: Reading, probs: Probs, crop: Crop) -> PlateRead | None:
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
        limit = self.settings.candidates
        return PlateRead(
            text=reading.text,
            kind=kind,
            score=reading.score,
            min_score=reading.min_score,
            char_scores=reading.char_scores,
            corners=crop.corners,
            det_score=crop.det_score,
            log_probs=reading.log_probs,
            candidates=self.decoder.candidates(probs, limit, reading.text) if limit else (),
        )


def _view_of(settings: ReadSettings) -> View:
    return View(0 if settings.rotate == AUTO else int(settings.rotate) // 90, settings.flip)


def _stands_on_end(read: PlateRead) -> bool:
    """Tells whether a plate is higher than wide in the picture: most that stand so are not found."""
    wide, high = np.ptp(read.corners, axis=0)
    return bool(high > wide)


def _may_be_plate(image: Image) -> bool:
    """Tells whether a whole picture has the shape of a plate that was cut out."""
    height, width = image.shape[:2]
    return bool(_WIDE <= width / height <= _WIDEST or (height <= _SMALL and _HIGH <= width / height < _WIDE))
