"""What `edge-lpr serve --check` shows of a configuration that can be used: no secret; nothing is started."""

from __future__ import annotations

from pathlib import Path

from edge_lpr.addresses import shown_source
from edge_lpr.console.tables import Cell, table
from edge_lpr.serve.config import Config
from edge_lpr.serve.data_folder import REGIONS
from edge_lpr.serve.lists import Lists
from edge_lpr.serve.regions import RegionFile, as_toml
from edge_lpr.serve.settings import CameraSettings

__all__ = ["summary"]


def summary(config: Config) -> str:
    """Returns tables of what a configuration says.

    Raises:
        InputError: A file of a list, or what was drawn on the page, cannot be read.
    """
    settings = config.settings
    sizes = Lists.load(settings.lists, config.path.parent).sizes()
    drawn = RegionFile(Path(settings.service.data) / REGIONS).read()
    rows: list[list[Cell]] = [["camera", "source", "read", "direction", "regions"]]
    for name, camera in settings.cameras.items():
        where = "drawn on the page" if name in drawn else _areas(camera)
        rows.append([name, shown_source(camera.source), _when(camera), camera.direction, where])
    blocks = [table(rows, left=range(5))]
    if settings.lists:
        rows = [["list", "action", "plates"]]
        rows += [[name, one.action, f"{sizes[name]:,}"] for name, one in settings.lists.items()]
        blocks.append(table(rows, left=(0, 1)))
    if settings.outputs:
        rows = [["output", "type", "to", "events"]]
        rows += [[name, one.type, one.receiver, one.events] for name, one in settings.outputs.items()]
        blocks.append(table(rows, left=range(4)))
    blocks += [
        f"drawn on the page, before what the file says:\n{as_toml(name, drawn[name]).rstrip()}"
        for name in settings.cameras
        if name in drawn
    ]
    page = settings.web.listen or "none"
    blocks.append(f"page {page}, data {settings.service.data}\n{config.path}: good")
    return "\n\n".join(blocks)


def _areas(camera: CameraSettings) -> str:
    parts = [f"{len(camera.regions)} read"] if camera.regions else ["all"]
    return ", ".join([*parts, *([f"{len(camera.masks)} masked"] if camera.masks else [])])


def _when(camera: CameraSettings) -> str:
    if not camera.enabled:
        return "not enabled"
    often = f"{camera.max_fps:g} a second at most" if camera.max_fps else "every frame"
    return f"{often}, {'; '.join(camera.schedule)}" if camera.schedule else often
