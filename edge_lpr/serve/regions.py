"""Regions and masks that were drawn on the page: kept beside the events, and heeded before the file's."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError

from edge_lpr.errors import InputError
from edge_lpr.io.atomic_io import json_text, write_bytes
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.serve.setting_types import MOST_POLYGONS, Name, Polygon, Table
from edge_lpr.serve.settings import ServeSettings

__all__ = ["DrawnRegions", "RegionFile", "as_toml", "with_drawn"]

_MOST_BYTES = 4 << 20


class DrawnRegions(Table):
    """What was drawn for one camera; in shares of the frame's width and height."""

    regions: list[Polygon] = Field(default_factory=list, max_length=MOST_POLYGONS)
    masks: list[Polygon] = Field(default_factory=list, max_length=MOST_POLYGONS)


_FORM = TypeAdapter(dict[Name, DrawnRegions])


class RegionFile:
    """`regions.json` of the data folder.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def read(self) -> dict[str, DrawnRegions]:
        """Returns what was drawn, by camera; nothing where there is no such file.

        Raises:
            InputError: It is damaged.
        """
        if not self.path.exists():
            return {}
        data = read_bounded(self.path, _MOST_BYTES, "regions", InputError)
        try:
            return _FORM.validate_json(data, strict=True)
        except ValidationError as e:
            first = e.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise InputError(
                f"{self.path}: {where}: {first['msg']}; put it right, or move the file away"
            ) from e

    def write(self, camera: str, drawn: DrawnRegions | None) -> None:
        """Keeps what was drawn for a camera; None goes back to what the configuration says.

        Raises:
            InputError: The file that is there is damaged.
            OutputError: It cannot be written.
        """
        with self._lock:
            all_drawn = self.read()
            all_drawn.pop(camera, None)
            if drawn is not None:
                all_drawn[camera] = drawn
            found = {name: one.model_dump(mode="json") for name, one in sorted(all_drawn.items())}
            write_bytes(self.path, json_text(found).encode())


def with_drawn(settings: ServeSettings, drawn: dict[str, DrawnRegions]) -> ServeSettings:
    """Returns settings whose cameras have what was drawn for them."""
    cameras = {
        name: camera
        if (own := drawn.get(name)) is None
        else camera.model_copy(update={"regions": own.regions, "masks": own.masks})
        for name, camera in settings.cameras.items()
    }
    return settings.model_copy(update={"cameras": cameras})


def as_toml(camera: str, drawn: DrawnRegions) -> str:
    """Writes what was drawn as the configuration has it, to be copied there."""
    lines = [f"[cameras.{camera}]"]
    for name, polygons in (("regions", drawn.regions), ("masks", drawn.masks)):
        lines.append(f"{name} = [{', '.join(map(_polygon, polygons))}]")
    return "\n".join(lines) + "\n"


def _polygon(points: Sequence[tuple[float, float]]) -> str:
    return "[" + ", ".join(f"[{x:.4f}, {y:.4f}]" for x, y in points) + "]"
