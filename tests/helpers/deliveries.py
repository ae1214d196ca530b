"""A service's queues and outputs, without the service."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from edge_lpr.serve.database import Database
from edge_lpr.serve.delivery.queue import SCHEMA, Queues
from edge_lpr.serve.delivery.sender import DeliveryContext
from edge_lpr.serve.delivery.workers import Deliveries
from edge_lpr.serve.output_settings import OutputSettings
from edge_lpr.serve.record import PassageRecord
from helpers.waiting import LONG


class Service:
    """Queues events and delivers them; a context manager.

    Args:
        folder: Where its database is, and what relative paths are relative to.
        outputs: The outputs by name.
        picture: See `DeliveryContext.picture`.
        cameras: See `DeliveryContext.cameras`.
    """

    def __init__(
        self,
        folder: Path,
        outputs: Mapping[str, OutputSettings],
        picture: Callable[[str], Path | None] = lambda name: None,
        cameras: Callable[[], Mapping[str, bool]] = dict,
    ) -> None:
        self.outputs = dict(outputs)
        self.database = Database(folder / "events.sqlite", SCHEMA)
        self.queues = Queues(self.database, outputs, chance=random.Random(1))
        self.context = DeliveryContext(self.queues, folder, picture, cameras)
        self.deliveries = Deliveries(self.context)

    def offer(self, *records: PassageRecord) -> None:
        """Queues records."""
        for record in records:
            with self.database.transaction() as tx:
                self.queues.offer(tx, record)
        self.queues.wake()

    @property
    def waiting(self) -> int:
        """How many wait, of all outputs."""
        return sum(self.queues.depths().values())

    def __enter__(self) -> Service:
        self.deliveries.start(self.outputs)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.deliveries.stop(0, LONG)
        self.database.close()
