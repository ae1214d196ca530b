"""The service's parts, built once, of its configuration."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from pathlib import Path

from edge_lpr.health.activity import Activity
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.serve import store
from edge_lpr.serve.age_clock import AgeClock
from edge_lpr.serve.board import CameraBoard
from edge_lpr.serve.cameras import Cameras, Take
from edge_lpr.serve.config import Config
from edge_lpr.serve.data_folder import DataFolder
from edge_lpr.serve.database import Database, unusable
from edge_lpr.serve.delivery import queue
from edge_lpr.serve.delivery.queue import Queues
from edge_lpr.serve.delivery.sender import DeliveryContext
from edge_lpr.serve.delivery.workers import Deliveries
from edge_lpr.serve.housekeeping import Housekeeping
from edge_lpr.serve.lists import Lists
from edge_lpr.serve.metrics import Metrics
from edge_lpr.serve.passages import Passages
from edge_lpr.serve.pictures import Pictures
from edge_lpr.serve.record import PassageRecord
from edge_lpr.serve.regions import RegionFile
from edge_lpr.serve.retention import Retention
from edge_lpr.serve.settings import ReaderSettings, ServeSettings

__all__ = ["Parts", "open_reader"]


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


class Parts:
    """All that the service is made of, but its page.

    Args:
        config: The configuration.
        take: Is given all that cameras show.

    Attributes:
        reader: The models.
        database: Events and queues.
        ages: How old what is kept is.
        pictures: Crops and frames.
        regions: What was drawn on the page.
        board: How the cameras are.
        lists: The lists of plates, as they were at the start.
        queues: What waits for the outputs.
        passages: What is told.
        metrics: The figures.
        writing: The work of the disk, for the watchdog.
        cameras: Read them.
        deliveries: Empty the queues.
        housekeeping: Does what is due by the clock.

    Raises:
        EdgeLprError: A part cannot be built.
    """

    def __init__(self, config: Config, take: Take) -> None:
        settings, base = config.settings, config.path.parent
        self._stack = stack = ExitStack()
        try:
            folder = DataFolder(Path(settings.service.data))
            stack.callback(folder.close)
            self.lists = Lists.load(settings.lists, base)
            self.reader = stack.enter_context(open_reader(settings))
            self.database = Database(folder.database, (*store.SCHEMA, *queue.SCHEMA))
            stack.callback(self.database.close)
            self.ages = AgeClock(self.database)
            self.pictures = Pictures(folder.pictures, settings.retention, ages=self.ages.now)
            self.regions = RegionFile(folder.regions)
            self.board = CameraBoard()
            self.queues = Queues(self.database, settings.outputs, settings.lists)
            self.passages = Passages(self.database, self.pictures, self.lists, self.queues, settings)
            self.passages.listeners.append(self._count)
            self.metrics = Metrics(self.board, self.queues, self.pictures, self.passages, self.ages)
            self.writing = Activity("the disk and its database")
            self.cameras = Cameras(self.reader, self.board, take)
            self.deliveries = Deliveries(
                DeliveryContext(self.queues, base, self.pictures.open_path, self._cameras_there)
            )
            retention = Retention(self.database, self.pictures, settings.retention, self.ages)
            self.housekeeping = Housekeeping(self.passages, retention)
        except BaseException as e:
            stack.close()
            if isinstance(e, sqlite3.Error):  # it was opened, and is damaged further on
                raise unusable(folder.database, e) from e
            raise

    def close(self) -> None:
        """Closes what is open; may be called twice. What is at work loses what it works with."""
        self._stack.close()

    def _count(self, record: PassageRecord) -> None:
        if (entry := self.board.get(record.camera)) is not None:
            entry.counts.events += 1

    def _cameras_there(self) -> dict[str, bool]:
        return {one.name: one.state == "live" for one in self.board.snapshot()}
