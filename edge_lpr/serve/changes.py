"""What is changed while the service runs: its configuration, read again, and regions drawn on the page."""

from __future__ import annotations

import logging
import threading

from edge_lpr.errors import ConfigError, EdgeLprError, InputError, one_line, shown
from edge_lpr.serve.config import Config, load_config
from edge_lpr.serve.fixed_settings import heeded
from edge_lpr.serve.lists import Lists
from edge_lpr.serve.parts import Parts
from edge_lpr.serve.regions import DrawnRegions, with_drawn
from edge_lpr.serve.settings import ServeSettings
from edge_lpr.serve.web.context import Areas, Polygons, WebContext
from edge_lpr.serve.web.server import WebServer

__all__ = ["Changes"]

_logger = logging.getLogger("edge_lpr")


class Changes:
    """Holds the configuration that the service goes by, and changes it; any thread may.

    Args:
        config: The one that it begins with.
        parts: What heeds it.

    Attributes:
        page: The page that heeds it too; None where there is none.
        context: What the page shows.

    Raises:
        InputError: What was drawn on the page cannot be read.
    """

    def __init__(self, config: Config, parts: Parts) -> None:
        self.page: WebServer | None = None
        self.context: WebContext | None = None
        self._config = config
        self._parts = parts
        self._drawn = parts.regions.read()
        self._lock = threading.Lock()

    @property
    def settings(self) -> ServeSettings:
        """The settings that hold, without what was drawn."""
        return self._config.settings

    def begin(self) -> None:
        """Has the cameras read as the settings say.

        Raises:
            EdgeLprError: One cannot be.
        """
        self._parts.cameras.apply(with_drawn(self.settings, self._drawn))

    def reload(self) -> None:
        """Reads the configuration again; one that cannot be used changes nothing, and the log says why."""
        path = self._config.path
        try:
            self._heed(load_config(path))
            _logger.info("%s was read again", path)
        except Exception as e:  # also one that nobody thought of: it ends no service that goes well
            known = isinstance(e, EdgeLprError)
            lines = e.lines if isinstance(e, ConfigError) else (str(e) if known else one_line(e, named=True),)
            for line in (*lines, f"{path} was not taken; the service goes on as before"):
                _logger.log(logging.ERROR, "%s", line)

    def draw(self, camera: str, regions: Polygons, masks: Polygons) -> None:
        """Takes what was drawn for a camera.

        Raises:
            InputError: There is no such camera, or what was drawn before is damaged.
            OutputError: It cannot be kept.
        """
        with self._lock:
            if camera not in self.settings.cameras:
                raise InputError(f"no camera {shown(camera)}")
            drawn = DrawnRegions.model_validate({"regions": regions, "masks": masks})
            own = self.settings.cameras[camera]
            is_same = (drawn.regions, drawn.masks) == (own.regions, own.masks)
            # What the file says, it goes on to say.
            self._parts.regions.write(camera, None if is_same else drawn)
            self._drawn = self._parts.regions.read()
            self.begin()

    def areas(self, camera: str) -> Areas:
        """Returns the regions and masks of a camera that hold."""
        drawn = self._drawn.get(camera)
        own = drawn or self.settings.cameras.get(camera)
        if own is None:  # it comes or goes just now
            return Areas((), (), is_drawn=False)
        return Areas(own.regions, own.masks, drawn is not None)

    def _heed(self, config: Config) -> None:
        """Goes on with another configuration: all of it, or nothing where it cannot be used.

        Raises:
            EdgeLprError: It cannot.
        """
        with self._lock:
            parts, before = self._parts, self.settings
            settings = heeded(config.settings, before, _logger.warning)
            if self.page is not None:
                self.page.reload_certificate()  # first: where it cannot be used, nothing is changed
            lists = Lists.load(settings.lists, config.path.parent)
            parts.queues.reload(settings.outputs, settings.lists)
            try:
                parts.deliveries.start(settings.outputs)
            except EdgeLprError:
                parts.queues.reload(before.outputs, before.lists)
                raise
            parts.passages.reload(lists, settings)
            parts.housekeeping.reload(settings.retention)
            for camera in set(before.cameras) - set(settings.cameras):
                parts.metrics.forget(camera)
            self._config = Config(config.path, settings)
            self.begin()
            if self.context is not None:
                self.context.settings, self.context.lists = settings, lists
