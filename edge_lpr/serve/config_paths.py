"""Paths of a configuration: in the file they are relative to it, from there on absolute."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edge_lpr.addresses import is_address, is_pipeline
from edge_lpr.bundle.manifest import portable_bundle
from edge_lpr.serve.output_settings import CommandSettings, OutputSettings
from edge_lpr.serve.settings import ServeSettings

__all__ = ["is_file_source", "with_paths"]


def with_paths(settings: ServeSettings, base: Path) -> ServeSettings:
    """Returns settings whose paths are absolute; in the file they are relative to it."""

    def placed(table: Any, names: Iterable[str]) -> Any:  # noqa: ANN401 - of any table
        given = {name: value for name in names if (value := getattr(table, name)) is not None}
        return table.model_copy(update={name: str(base / value) for name, value in given.items()})

    key = settings.reader.verify_key
    reader = placed(settings.reader, ("engines",))
    if reader.bundle is not None:
        reader = reader.model_copy(update={"bundle": portable_bundle(reader.bundle, base)})
    if key is not None and (base / key).is_file():  # it may be the key itself
        reader = reader.model_copy(update={"verify_key": str(base / key)})
    return settings.model_copy(
        update={
            "service": placed(settings.service, ("data",)),
            "reader": reader,
            "web": placed(settings.web, ("certificate", "key")),
            "lists": {name: placed(one, ("file",)) for name, one in settings.lists.items()},
            "outputs": {name: _output(placed, one, base) for name, one in settings.outputs.items()},
            "cameras": {
                name: placed(one, ("source",)) if is_file_source(one.source) else one
                for name, one in settings.cameras.items()
            },
        }
    )


def is_file_source(source: str) -> bool:
    """Tells whether a camera's source is a file: a video that is played as a camera."""
    is_camera = source.isdecimal() or source.startswith("/dev/")
    return not (is_camera or is_address(source) or is_pipeline(source))


def _output(placed: Any, output: OutputSettings, base: Path) -> OutputSettings:  # noqa: ANN401 - a function
    changed: OutputSettings = placed(output, (*output.FILES, *output.FOLDERS))
    if isinstance(changed, CommandSettings) and "/" in changed.command[0]:
        command = [str(base / changed.command[0]), *changed.command[1:]]
        return changed.model_copy(update={"command": command})
    return changed
