"""All cameras of the service: read in one thread, each apart from the others, as the settings have them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from edge_lpr.addresses import shown_source
from edge_lpr.errors import EdgeLprError, one_line
from edge_lpr.pipeline.live_reading import LiveReading
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.settings import TrackSettings
from edge_lpr.pipeline.stream import FrameResult, Stream
from edge_lpr.serve.board import CameraBoard
from edge_lpr.serve.camera_source import CameraSource, is_other
from edge_lpr.serve.settings import CameraSettings, ServeSettings

__all__ = ["Cameras", "Take"]

_logger = logging.getLogger("edge_lpr")

Take = Callable[[str, FrameResult], None]
"""Takes what a camera, by its name, has shown or told; called in the reading thread."""


@dataclass
class _Running:
    source: CameraSource
    stream: Stream


class Cameras:
    """Reads the cameras that the settings name.

    Args:
        reader: Reads their frames.
        board: How each is; kept up to date here.
        take: Is given all that they show.

    Attributes:
        failure: What ended the reading of all; None where nothing has.
    """

    def __init__(self, reader: PlateReader, board: CameraBoard, take: Take) -> None:
        self.failure: Exception | None = None
        self._reader = reader
        self._board = board
        self._take = take
        self._stop = threading.Event()
        self._reading = LiveReading(reader.workers, self._on_failure, self._stop, endless=True)
        self._running: dict[str, _Running] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="edge-lpr reading", daemon=True)

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    @property
    def is_reading(self) -> bool:
        """Whether cameras are read."""
        return self._thread.is_alive()

    @property
    def sources(self) -> list[CameraSource]:
        """What is being read."""
        return [one.source for one in list(self._running.values())]

    def apply(self, settings: ServeSettings) -> None:
        """Reads as settings say from now on: what stays the same is not disturbed.

        Args:
            settings: The settings; the cameras' sources with absolute paths.
        """
        with self._lock:
            if self._stop.is_set():  # it was read again as the end came
                return
            self._board.arrange({name: shown_source(one.source) for name, one in settings.cameras.items()})
            for name in list(self._running):
                wanted = settings.cameras.get(name)
                source, stream = self._running[name].source, self._running[name].stream
                if wanted is None or not wanted.enabled or is_other(wanted, source.settings):
                    del self._running[name]
                    source.stop()
                    self._reading.remove(stream)
            for name, one in settings.cameras.items():
                if not one.enabled:
                    self._board[name].become("off", "not enabled")
                elif (running := self._running.get(name)) is None:
                    self._running[name] = self._open(name, one)
                elif running.source.settings != one:
                    running.source.change(one)
                    if running.stream.tracker is not None:
                        running.stream.tracker.settings = self._tracking(one)

    def stop(self, seconds: float) -> bool:
        """Ends the reading; returns whether it has ended within so many seconds. See `flush`."""
        self._stop.set()
        for source in self.sources:
            source.stop()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def flush(self, take: Take) -> None:
        """Gives the vehicles in view to `take`; once, after `stop`.

        A frame that is still being read is left out: its vehicles are told as they were before it.
        """
        for running in list(self._running.values()):
            name = running.source.label
            try:
                take(name, running.stream.flush())
            except Exception:  # also of a frame whose reading ends just now: the others are told
                _logger.exception("%s: what was read cannot be told", name)

    def close(self, seconds: float) -> None:
        """Closes what is open, as far as that is done within so many seconds; after `stop`."""
        threads = [threading.Thread(target=source.close, daemon=True) for source in self.sources]
        for thread in threads:
            thread.start()
        until = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _open(self, name: str, settings: CameraSettings) -> _Running:
        def warn(line: str) -> None:
            _logger.warning(line, extra={"camera": name})

        source = CameraSource(name, settings, self._board[name], warn)
        stream = Stream(
            self._reader, source, report="all", tracking=self._tracking(settings), accepts=source.accepts
        )
        self._reading.add(stream)
        return _Running(source, stream)

    def _tracking(self, settings: CameraSettings) -> TrackSettings:
        return replace(self._reader.tracking, max_delay=settings.decide_within)

    def _run(self) -> None:
        try:
            for result in self._reading.steps():
                self._give(result)
                if result.is_last:
                    threading.Thread(target=result.source.close, name="edge-lpr closes", daemon=True).start()
        except Exception as e:  # whatever it is, the service ends and says so
            self.failure = e

    def _give(self, result: FrameResult) -> None:
        entry = self._board.get(result.source.label)
        if entry is not None and result.frame is not None:
            entry.counts.reads += len(result.reads)
        try:
            self._take(result.source.label, result)
        except Exception:  # one event that nobody thought of ends no camera
            _logger.exception("%s: what was read cannot be told", result.source.label)

    def _on_failure(self, stream: Stream, error: Exception) -> None:
        name = stream.source.label
        if (entry := self._board.get(name)) is not None:
            entry.counts.failures += 1
            entry.say(f"a frame could not be read: {one_line(error, named=True)}")
        known = isinstance(error, EdgeLprError)
        _logger.error(
            "%s: a frame could not be read: %s",
            name,
            one_line(error, named=not known),
            exc_info=error if _logger.isEnabledFor(logging.DEBUG) and not known else None,
            extra={"camera": name},
        )
