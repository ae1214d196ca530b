"""The service: built once, and run until somebody ends it."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import NoReturn

from edge_lpr.counting import counted
from edge_lpr.health.monitor import Monitor
from edge_lpr.health.sd_notify import ServiceManager
from edge_lpr.health.status import Run
from edge_lpr.health.watchdog import Watchdog
from edge_lpr.pipeline.async_reader import AsyncPlateReader
from edge_lpr.pipeline.stream import FrameResult
from edge_lpr.serve.changes import Changes
from edge_lpr.serve.config import Config
from edge_lpr.serve.ending import Taking, end
from edge_lpr.serve.parts import Parts
from edge_lpr.serve.signals import Signals
from edge_lpr.serve.store import EventStore
from edge_lpr.serve.web.context import WebContext
from edge_lpr.serve.web.server import WebServer

__all__ = ["Service"]

_logger = logging.getLogger("edge_lpr")
_PAUSE = 0.1  # seconds between two looks at signals


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
        self._signals = signals
        self._taking = Taking()
        self._has_ended = True
        self._reloading: threading.Thread | None = None
        self._manager = ServiceManager()
        self._parts = parts = Parts(config, self._take)
        try:
            self._changes = Changes(config, parts)
            self._page = self._make_page()
        except BaseException:
            parts.close()
            raise
        self.address = "" if self._page is None else self._page.address

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *error: object) -> None:
        if self._has_ended:  # what is still at work may not lose what it works with
            if self._page is not None:
                self._page.stop(0.0)
            self._parts.close()

    def run(self) -> int:
        """Runs until a signal ends it; returns the exit code.

        Raises:
            EdgeLprError: It cannot go on.
        """
        parts, settings = self._parts, self._changes.settings
        health = Run(time.time(), parts.reader.description, parts.reader.activity)
        activities = [parts.reader.activity, parts.writing]
        watchdog = Watchdog(activities, settings.service.watchdog, _logger.error)
        with Monitor(health, watchdog, _logger.error, self._give_up, manager=self._manager) as monitor:
            try:
                parts.deliveries.start(settings.outputs)
                self._changes.begin()
                health.sources = parts.cameras.sources
                parts.cameras.start()
                parts.housekeeping.start()
                if self._page is not None:
                    self._page.start()
                self._say_hello()
                monitor.ready()
                while not self._signals.ends:
                    self._reload_if_asked()
                    if (failure := parts.cameras.failure) is not None:
                        raise failure
                    health.sources = parts.cameras.sources
                    cameras = parts.board.snapshot()
                    health.frames = sum(one.counts.frames for one in cameras)
                    health.results = sum(one.counts.events for one in cameras)
                    time.sleep(_PAUSE)
            finally:
                since = self._signals.asked_at if self._signals.ends else time.monotonic()
                self._has_ended = end(parts, self._page, self._taking, self._tell, since)
        return 0

    def _say_hello(self) -> None:
        cameras = self._changes.settings.cameras
        _logger.info("%s", self._parts.reader.description)
        _logger.info("reads %s: %s", counted(len(cameras), "cameras"), ", ".join(cameras))
        if self._page is not None:
            beside = ", and at this machine's other addresses" if self._page.is_everywhere else ""
            _logger.info("the page is at %s%s", self.address, beside)

    def _give_up(self, who: str) -> NoReturn:
        _logger.error("%s do not answer, the service ends; what was told before is kept", who)
        os._exit(1)

    def _reload_if_asked(self) -> None:
        """Reads the configuration again, beside what looks at signals: lists and outputs may take a while."""
        if (self._reloading is None or not self._reloading.is_alive()) and self._signals.take_reload():
            self._reloading = threading.Thread(target=self._reload, name="edge-lpr reloads", daemon=True)
            self._reloading.start()

    def _reload(self) -> None:
        began = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._manager.notify("RELOADING=1", f"MONOTONIC_USEC={began}")
        self._changes.reload()
        self._manager.notify("READY=1")

    def _take(self, camera: str, result: FrameResult) -> None:
        with self._taking:
            if not self._taking.is_over:
                self._tell(camera, result)

    def _tell(self, camera: str, result: FrameResult) -> None:
        image = None if result.frame is None else result.frame.image
        for event in result.events:
            with self._parts.writing:
                record = self._parts.passages.take(camera, event, image)
            if record is not None and result.frame is not None and result.frame.time is not None:
                now = getattr(result.source, "now", lambda: None)()
                if now is not None:
                    self._parts.metrics.note_latency(camera, now - result.frame.time)

    def _make_page(self) -> WebServer | None:
        parts, changes = self._parts, self._changes
        web = changes.settings.web
        if not web.listen:
            return None
        changes.context = WebContext(
            settings=changes.settings,
            store=EventStore(parts.database),
            pictures=parts.pictures,
            lists=parts.lists,
            cameras=parts.board,
            queues=parts.queues,
            reader=AsyncPlateReader(parts.reader),
            metrics=parts.metrics.text,
            areas=changes.areas,
            change_regions=changes.draw,
            is_ready=self._is_ready,
            clock_trouble=lambda: parts.ages.state,
        )
        files = [None if name is None else Path(name) for name in (web.certificate, web.key)]
        changes.page = WebServer(changes.context, *files)
        return changes.page

    def _is_ready(self) -> str:
        if not self._parts.cameras.is_reading:
            return "cameras are not read (yet)"
        return self._parts.passages.state
