"""The reader: a bundle and its models opened, and plates read from images and sources."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edge_lpr.backends import AUTO, Models, open_models
from edge_lpr.backends.base import DEVICE, THREADS
from edge_lpr.bundle.manifest import Bundle, load_bundle
from edge_lpr.errors import SettingError
from edge_lpr.health.activity import Activity
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.image_input import ImageLike, as_image
from edge_lpr.pipeline.crop import Crop
from edge_lpr.pipeline.crop_reader import CropReader
from edge_lpr.pipeline.detector import Detector
from edge_lpr.pipeline.event_options import EventOptions
from edge_lpr.pipeline.events import PlateEvent
from edge_lpr.pipeline.looks import Look, Seen
from edge_lpr.pipeline.ordered_pool import in_order
from edge_lpr.pipeline.plate_search import PlateSearch
from edge_lpr.pipeline.reading import SourceName, read_sources
from edge_lpr.pipeline.recognizer import Recognizer
from edge_lpr.pipeline.settings import (
    DetectorSettings,
    GateSettings,
    ReadSettings,
    TrackSettings,
    split_settings,
)
from edge_lpr.pipeline.stream import FrameResult
from edge_lpr.plates import PlateRead
from edge_lpr.precisions import PRECISIONS
from edge_lpr.signatures import load_public_key
from edge_lpr.types import Image

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["EventOptions", "PlateReader"]


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
        device: Number of the GPU, as CUDA counts them, without falling back to the CPU; None is the first, or
            the CPU where there is none.
        options: More settings of backends by name: `engines` (the folder of TensorRT engines, as `edge-lpr
            build --out` made it), `slots`, `graphs`, `mapped`; see `edge_lpr.backends`.
        settings: Thresholds that differ from the bundle's and the defaults, by the names of the fields in
            `edge_lpr.pipeline.settings`: {"min_score": 0.6, "any_text": True}.
        verify_key: The public key that bundle and engines have to be signed with, as a file or itself; None
            asks for no signature.

    Attributes:
        bundle: The bundle.
        settings: What counts as a plate.
        tracking: How the reads of one vehicle are joined.
        gating: How much of a video's frames is looked at, where they are read one by one, as on a CPU.
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
        device: int | None = None,
        options: Mapping[str, Any] | None = None,
        settings: Mapping[str, object] | None = None,
        verify_key: str | Path | None = None,
    ) -> None:
        if precision != AUTO and precision not in PRECISIONS:
            raise SettingError(f"precision {precision!r}: expected auto, {', '.join(PRECISIONS.names())}")
        chosen = (backend, precision, threads, device, options)
        if models is not None and chosen != (AUTO, AUTO, None, None, None):
            raise SettingError(
                "models are given, so backend, precision, threads, device and options say nothing; "
                "leave them out"
            )
        det, read, track, gate = split_settings(settings or {})
        self.settings = ReadSettings().changed(read)
        self.tracking = TrackSettings().changed(track)
        self.gating = GateSettings().changed(gate)
        self.bundle: Bundle = load_bundle(bundle, load_public_key(verify_key))
        spec = self.bundle.det
        detection = DetectorSettings.for_model(spec).changed(det)
        if models is None:
            named = {THREADS.name: threads, DEVICE.name: device}
            given = {**(options or {}), **{n: value for n, value in named.items() if value is not None}}
            models = open_models(self.bundle, backend=backend, precision=precision, options=given)
            if self.settings.crops_only:  # backends open both models or none
                models.det.close()
        self._models = models
        self.activity = Activity("the models")
        self.workers = models.det.concurrency
        self.detector = Detector(models.det, spec, detection, models.frames)
        self.recognizer = Recognizer(models.rec, self.bundle.rec)
        self._crops = CropReader(self.recognizer, self.settings)
        self._search = PlateSearch(self.detector, self._crops, self.settings)

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
            return self._search.read(taken, rescan)

    def read_look(self, image: Image, look: Look) -> Seen:
        """Reads the plates in what is looked at of a video's frame; windows show them as all of it does.

        Args:
            image: The frame, uint8 H×W×3 BGR.
            look: Its windows, and where plates are that were read before.

        Returns:
            The plates that were read, and where those are that were followed.

        Raises:
            BackendError: The backend failed.
        """
        with self.activity:
            return self._search.read_look(image, look)

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
            return self._crops.read([[Crop.of_whole(crop)] for crop in taken])

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
        other._crops = CropReader(self.recognizer, other.settings)
        other._search = PlateSearch(self.detector, other._crops, other.settings)
        return other
