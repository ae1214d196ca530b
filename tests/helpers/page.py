"""The page with a real store behind it, for tests: events, pictures and a reader that need no models."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, cast

from starlette.testclient import TestClient

from edge_lpr import PlateReader
from edge_lpr.addresses import shown_source
from edge_lpr.pipeline.async_reader import AsyncPlateReader
from edge_lpr.serve import store
from edge_lpr.serve.age_clock import AgeClock
from edge_lpr.serve.board import CameraBoard
from edge_lpr.serve.database import Database
from edge_lpr.serve.delivery import queue
from edge_lpr.serve.lists import Lists
from edge_lpr.serve.metrics import Metrics
from edge_lpr.serve.passages import Passages
from edge_lpr.serve.pictures import Pictures
from edge_lpr.serve.record import PassageRecord
from edge_lpr.serve.settings import ServeSettings
from edge_lpr.serve.store import EventStore
from edge_lpr.serve.web.app import make_app
from edge_lpr.serve.web.auth import ScryptHash
from edge_lpr.serve.web.context import Areas, Polygons, WebContext
from edge_lpr.types import Image
from helpers.stored_passages import frame, track

ADDRESS = "http://127.0.0.1:8470"


def cheap_hash(secret: str) -> str:
    """A hash that takes a fiftieth of the time of those that the command makes."""
    salt = b"salt of tests 12"
    digest = hashlib.scrypt(secret.encode(), salt=salt, n=2**14, r=1, p=1, dklen=32)
    return str(ScryptHash(2**14, 1, 1, salt, digest))


def csrf_of(html: str) -> str:
    """What a page's forms hold."""
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', html)
    assert found is not None
    return found[1]


def configuration(**web: Any) -> ServeSettings:
    return ServeSettings.model_validate(
        {
            "cameras": {"gate": {"source": "0", "role": "entry", "site": "yard"}, "yard": {"source": "1"}},
            "lists": {
                "staff": {"action": "allow", "plates": [{"plate": "京A12345", "name": "Li <b>Wei</b>"}]}
            },
            "web": web,
        }
    )


class Service:
    """What the page shows, with all parts of a service but the cameras' reading.

    Args:
        folder: Where its data is.
        settings: The configuration.
        reader: Reads pictures; one without models where none is read.
    """

    def __init__(
        self, folder: Path, settings: ServeSettings | None = None, reader: PlateReader | None = None
    ) -> None:
        self.settings = settings or configuration()
        self.database = Database(folder / "events.db", (*store.SCHEMA, *queue.SCHEMA))
        self.ages = AgeClock(self.database)
        self.pictures = Pictures(folder / "pictures", self.settings.retention, ages=self.ages.now)
        self.queues = queue.Queues(self.database, self.settings.outputs)
        self.lists = Lists.load(self.settings.lists, folder)
        self.passages = Passages(self.database, self.pictures, self.lists, self.queues, self.settings)
        self.board = CameraBoard()
        self.board.arrange({name: shown_source(one.source) for name, one in self.settings.cameras.items()})
        for name in self.settings.cameras:
            self.board[name].become("live")
            self.see(name, frame())
        self.drawn: dict[str, Areas] = {}
        self.context = WebContext(
            settings=self.settings,
            store=EventStore(self.database),
            pictures=self.pictures,
            lists=self.lists,
            cameras=self.board,
            queues=self.queues,
            reader=AsyncPlateReader(reader) if reader else cast(AsyncPlateReader, None),
            metrics=Metrics(self.board, self.queues, self.pictures, self.passages, self.ages).text,
            areas=self._areas,
            change_regions=self._change,
            is_ready=lambda: "",
            clock_trouble=lambda: self.ages.state,
        )
        self.app = make_app(self.context)

    def _areas(self, name: str) -> Areas:
        camera = self.settings.cameras[name]
        return self.drawn.get(name) or Areas(camera.regions, camera.masks, False)

    def _change(self, name: str, regions: Polygons, masks: Polygons) -> None:
        self.drawn[name] = Areas(regions, masks, True)

    def see(self, camera: str, image: Image) -> None:
        """A camera takes a frame."""
        self.board[camera].saw(image, None)

    def pass_by(self, text: str, camera: str = "gate", **fields: Any) -> PassageRecord:
        """A vehicle passes, from its first read to its end."""
        self.passages.take(camera, track(text, **fields), frame())
        self.passages.close_all()
        event = self.context.store.get(fields.get("id", "track-1"))
        assert event is not None
        return event.record

    def reload_web(self, **web: Any) -> None:
        """Gives the page another configuration."""
        changed = self.settings.web.model_copy(update=web)
        self.settings = self.context.settings = self.settings.model_copy(update={"web": changed})

    def client(self, **options: Any) -> TestClient:
        return TestClient(self.app, base_url=ADDRESS, follow_redirects=False, **options)

    def close(self) -> None:
        self.context.close()
        self.database.close()
