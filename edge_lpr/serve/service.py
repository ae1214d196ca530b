"""The service: all its parts, built once, and run until somebody ends it."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from edge_lpr.errors import EdgeLprError, InputError, one_line, shown
from edge_lpr.health.activity import Activity
from edge_lpr.health.monitor import Monitor
from edge_lpr.health.sd_notify import ServiceManager
from edge_lpr.health.status import Run
from edge_lpr.health.watchdog import Watchdog
from edge_lpr.pipeline.async_reader import AsyncPlateReader
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.stream import FrameResult
from edge_lpr.serve import store
from edge_lpr.serve.board import CameraBoard
from edge_lpr.serve.cameras import Cameras
from edge_lpr.serve.config import Config, ConfigError, load_config
from edge_lpr.serve.data_folder import DataFolder
from edge_lpr.serve.database import Database
from edge_lpr.serve.delivery import queue
from edge_lpr.serve.delivery.queue import Queues
from edge_lpr.serve.delivery.sender import Surroundings
from edge_lpr.serve.delivery.workers import Deliveries
from edge_lpr.serve.fixed_settings import heeded
from edge_lpr.serve.housekeeping import Housekeeping
from edge_lpr.serve.lists import Lists
from edge_lpr.serve.metrics import Metrics
from edge_lpr.serve.passages import Passages
from edge_lpr.serve.pictures import Pictures
from edge_lpr.serve.record import PassageRecord
from edge_lpr.serve.regions import DrawnRegions, RegionFile, with_drawn
from edge_lpr.serve.settings import ReaderSettings, ServeSettings
from edge_lpr.serve.signals import Signals
from edge_lpr.serve.web.context import Areas, Polygons, WebContext
from edge_lpr.serve.web.server import WebServer

__all__ = ["Service", "open_reader"]

_logger = logging.getLogger("edge_lpr")
_PAUSE = 0.1  # seconds between two looks at signals
_END = 4.0  # seconds that the end takes at most, all in all
_PAGE_SECONDS, _DELIVERY_SECONDS = 1.0, 1.0  # of them


def open_reader(settings: ServeSettings) -> PlateReader:
    """Opens the models that settings name.

    Raises:
        EdgeLprError: They cannot be used.
    """
    wanted: ReaderSettings = settings.reader
    thresholds = dict(wanted.thresholds)
    most = max((one.candidates for one in settings.lists.values()), default=0)
    thresholds["candidates"] = max(int(thresholds.get("candidates", 0)), most)
    return PlateReader(
        bundle=wanted.bundle,
        backend=wanted.backend,
        precision=wanted.precision,
        threads=wanted.threads,
        device=wanted.device,
        options=None if wanted.engines is None else {"engines": wanted.engines},
        settings=thresholds,
        verify_key=wanted.verify_key,
    )


class Service:
    """Builds the service; a context manager, that ends it when it is left.

    Args:
        config: The configuration.
        signals: What people and the service manager ask of it.

    Attributes:
        address: Where the page is; "" where there is none.

    Raises:
        EdgeLprError: A part of it cannot be built.
    """

    def __init__(self, config: Config, signals: Signals) -> None:
        self._config = config
        self._signals = signals
        self._lock = threading.Lock()  # of what changes settings
        self._is_stuck = False
        self._taking = threading.Lock()  # of what is told of cameras
        self._is_over = False
        settings = config.settings
        self._parts = parts = ExitStack()
        try:
            self._folder = DataFolder(Path(settings.service.data))
            parts.callback(self._folder.close)
            lists = Lists.load(settings.lists, config.path.parent)
            self._reader = parts.enter_context(open_reader(settings))
            self._database = Database(self._folder.database, (*store.SCHEMA, *queue.SCHEMA))
            parts.callback(self._database.close)
            self._pictures = Pictures(self._folder.pictures, settings.retention)
            self._regions = RegionFile(self._folder.regions)
            self._drawn = self._regions.read()
            self._board = CameraBoard()
            self._queues = Queues(self._database, settings.outputs, settings.lists)
            self._passages = Passages(self._database, self._pictures, lists, self._queues, settings)
            self._passages.listeners.append(self._count)
            self._metrics = Metrics(
                self._board, self._queues, lambda: self._pictures.dropped, lambda: self._passages.waiting
            )
            self._writing = Activity("the disk and its database")
            self._cameras = Cameras(self._reader, self._board, self._take)
            self._deliveries = Deliveries(
                Surroundings(self._queues, config.path.parent, self._pictures.open_path, self._cameras_there)
            )
            self._housekeeping = Housekeeping(
                self._database, self._pictures, self._passages, settings.retention
            )
            self._context = self._make_context(settings, lists)
            self._page = self._make_page(settings)
        except BaseException:
            parts.close()
            raise
        self.address = "" if self._page is None else self._page.address

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *error: object) -> None:
        if not self._is_stuck:  # what is still at work may not lose what it works with
            self._parts.close()

    def run(self) -> int:
        """Runs until a signal ends it; returns the exit code.

        Raises:
            EdgeLprError: It cannot go on.
        """
        settings = self._config.settings
        health = Run(time.time(), self._reader.description, self._reader.activity)
        watchdog = Watchdog([self._reader.activity, self._writing], settings.service.watchdog, _logger.error)
        manager = ServiceManager()
        with Monitor(health, watchdog, _logger.error, self._give_up, manager=manager) as monitor:
            try:
                self._deliveries.start(settings.outputs)
                self._cameras.apply(with_drawn(settings, self._drawn))
                health.sources = self._cameras.sources
                self._cameras.start()
                self._housekeeping.start()
                if self._page is not None:
                    self._page.start()
                self._say_hello()
                monitor.ready()
                while not self._signals.ends:
                    if self._signals.take_reload():
                        self._reload(manager)
                        health.sources = self._cameras.sources
                    if (failure := self._cameras.failure) is not None:
                        raise failure
                    cameras = self._board.snapshot()
                    health.frames = sum(one.counts.frames for one in cameras)
                    health.results = sum(one.counts.events for one in cameras)
                    time.sleep(_PAUSE)
            finally:
                self._end()
        return 0

    def _say_hello(self) -> None:
        _logger.info("%s", self._reader.description)
        names = ", ".join(self._config.settings.cameras)
        _logger.info("reads %d cameras: %s", len(self._config.settings.cameras), names)
        if self.address:
            _logger.info("the page is at %s", self.address)

    def _end(self) -> None:
        """Ends all parts within five seconds, in an order in which nothing is lost."""
        _logger.info("ends: tells the end of all passages")
        until = time.monotonic() + _END
        self._is_stuck = not self._cameras.stop()
        if self._is_stuck:
            _logger.warning("what is being read does not end; it is left as it is")
        with self._taking:  # what is read after this is told no more
            self._is_over = True
            self._passages.close_all()
        self._housekeeping.stop()
        page = threading.Thread(target=self._stop_page, name="edge-lpr page ends", daemon=True)
        page.start()
        self._deliveries.stop(max(0.0, min(_DELIVERY_SECONDS, until - 1 - time.monotonic())))
        page.join(_PAGE_SECONDS)
        self._cameras.close(max(0.0, until - time.monotonic()))
        if waiting := {name: n for name, n in self._queues.depths().items() if n}:
            told = ", ".join(f"{n} for {name}" for name, n in waiting.items())
            _logger.info("events that wait for the next start: %s", told)

    def _stop_page(self) -> None:
        if self._page is not None:
            self._page.stop(_PAGE_SECONDS)

    def _give_up(self, who: str) -> NoReturn:
        _logger.error("%s do not answer, the service ends; what was told before is kept", who)
        os._exit(1)

    # What cameras show.

    def _take(self, camera: str, result: FrameResult) -> None:
        image = None if result.frame is None else result.frame.image
        for event in result.events:
            with self._taking, self._writing:
                record = None if self._is_over else self._passages.take(camera, event, image)
            if record is not None and result.frame is not None and result.frame.time is not None:
                now = getattr(result.source, "now", lambda: None)()
                if now is not None:
                    self._metrics.note_latency(camera, now - result.frame.time)

    def _count(self, record: PassageRecord) -> None:
        if (entry := self._board.get(record.camera)) is not None:
            entry.counts.events += 1

    def _cameras_there(self) -> dict[str, bool]:
        return {one.name: one.state == "live" for one in self._board.snapshot()}

    # What is changed while it runs.

    def _reload(self, manager: ServiceManager) -> None:
        manager.notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
        try:
            self._heed(load_config(self._config.path))
            _logger.info("%s was read again", self._config.path)
        except Exception as e:  # also one that nobody thought of: it ends no service that goes well
            known = isinstance(e, EdgeLprError)
            lines = e.lines if isinstance(e, ConfigError) else (str(e) if known else one_line(e, named=True),)
            for line in (*lines, f"{self._config.path} was not taken; the service goes on as before"):
                _logger.log(logging.ERROR, "%s", line)
        manager.notify("READY=1")

    def _heed(self, config: Config) -> None:
        """Goes on with another configuration: all of it, or nothing where it cannot be used.

        Raises:
            EdgeLprError: It cannot.
        """
        with self._lock:
            before = self._config.settings
            settings = heeded(config.settings, before, _logger.warning)
            if self._page is not None:
                self._page.reload_certificate()  # first: where it cannot be used, nothing is changed
            lists = Lists.load(settings.lists, config.path.parent)
            self._queues.reload(settings.outputs, settings.lists)
            try:
                self._deliveries.start(settings.outputs)
            except EdgeLprError:
                self._queues.reload(before.outputs, before.lists)
                raise
            self._passages.reload(lists, settings)
            self._housekeeping.reload(settings.retention)
            for camera in set(before.cameras) - set(settings.cameras):
                self._metrics.forget(camera)
            self._cameras.apply(with_drawn(settings, self._drawn))
            self._config = Config(config.path, settings)
            self._context.settings, self._context.lists = settings, lists

    def _change_regions(self, camera: str, regions: Polygons, masks: Polygons) -> None:
        with self._lock:
            settings = self._config.settings
            if camera not in settings.cameras:
                raise InputError(f"no camera {shown(camera)}")
            drawn = DrawnRegions.model_validate({"regions": regions, "masks": masks})
            own = settings.cameras[camera]
            is_same = (drawn.regions, drawn.masks) == (own.regions, own.masks)
            self._regions.write(camera, None if is_same else drawn)  # what the file says, it goes on to say
            self._drawn = self._regions.read()
            self._cameras.apply(with_drawn(settings, self._drawn))

    def _areas(self, camera: str) -> Areas:
        drawn = self._drawn.get(camera)
        own = drawn or self._config.settings.cameras.get(camera)
        if own is None:  # it comes or goes just now
            return Areas((), (), is_drawn=False)
        return Areas(own.regions, own.masks, drawn is not None)

    # The page.

    def _make_context(self, settings: ServeSettings, lists: Lists) -> WebContext:
        return WebContext(
            settings=settings,
            store=store.EventStore(self._database),
            pictures=self._pictures,
            lists=lists,
            cameras=self._board,
            queues=self._queues,
            reader=AsyncPlateReader(self._reader),
            metrics=self._metrics.text,
            areas=self._areas,
            change_regions=self._change_regions,
            is_ready=self._is_ready,
        )

    def _make_page(self, settings: ServeSettings) -> WebServer | None:
        web = settings.web
        if not web.listen:
            return None
        files = [None if name is None else Path(name) for name in (web.certificate, web.key)]
        page = WebServer(self._context, *files)
        self._parts.callback(page.stop, 0.0)
        return page

    def _is_ready(self) -> str:
        if not self._cameras.is_reading:
            return "cameras are not read (yet)"
        return self._passages.state
