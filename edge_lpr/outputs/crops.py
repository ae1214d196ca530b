"""The plates' images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from edge_lpr.errors import OutputError
from edge_lpr.geometry import crop_quad
from edge_lpr.io.atomic_io import create_folder
from edge_lpr.io.file_names import fitted, safe_name, unique
from edge_lpr.io.frames import Source
from edge_lpr.io.image_io import write_image
from edge_lpr.outputs.base import ALONE, OUTPUTS, Output, OutputKind, RunInfo
from edge_lpr.outputs.records import Result, utc_stamp
from edge_lpr.pipeline.events import PlateEvent
from edge_lpr.pipeline.stream import FrameResult

__all__ = ["CropOutput"]

FLAG = "--crops"
_VEHICLES = 500  # in view at once, whose files are known


class CropOutput(Output):
    """The plates' images, as PNG, named by source, frame and text.

    The name of each file is put into its result, so that outputs which come after can show it. All events of
    one vehicle share a file, which is written again with each: the last picture is the best.

    Args:
        folder: Where to; made where it is missing.
        run: The run.

    Raises:
        OutputError: The folder cannot be made or written to.
    """

    def __init__(self, folder: str | Path, run: RunInfo = ALONE) -> None:
        self._folder = Path(folder)
        self._run = run
        self._claims = run.own_claims()
        self._names: set[str] = set()
        self._vehicles: dict[str, Path] = {}
        self._claims.check(self._folder, FLAG)
        create_folder(self._folder)

    def write(self, frame_result: FrameResult, results: Sequence[Result]) -> None:
        """Writes the crop of each result that has an image; see `Output.write`."""
        failure: OutputError | None = None
        for result in results:
            item, frame = result.item, result.frame
            if isinstance(item, PlateEvent):
                crop, index = item.crop, item.first_frame
            elif frame is not None:
                crop, index = crop_quad(frame.image, item.corners), frame.index
            else:
                continue
            if crop is None:
                continue
            try:
                path = self._path(result, f"{_stem(result)}-{index:06d}-{safe_name(item.text)}")
                write_image(path, crop)
            except OutputError as e:  # the others have their own chance
                failure = e
            else:
                result.crop = path.name
        if failure is not None:
            raise failure

    def _path(self, result: Result, stem: str) -> Path:
        """Returns where the crop of a result goes: where the vehicle's last one is, or a free path."""
        item = result.item
        if not (isinstance(item, PlateEvent) and result.source.live):
            return self._free(stem, result.source)
        path = self._vehicles.pop(item.id, None)
        if path is None or not self._folder.is_dir():
            path = self._free(stem, result.source)
        if item.state != "end":
            self._vehicles[item.id] = path
            if len(self._vehicles) > _VEHICLES:
                self._vehicles.pop(next(iter(self._vehicles)))
        return path

    def _free(self, stem: str, source: Source) -> Path:
        """Returns a path that no other crop of this run has, nor what the run reads, nor another output."""
        if not self._folder.is_dir():
            create_folder(self._folder)
            self._run.on_warning(f"{self._folder}: was deleted or moved away; the folder is made again")
        if source.live:  # its crops never end, and never replace any: their names are not kept, but looked up
            path, number = self._folder / f"{stem}.png", 1
            while os.path.lexists(path):
                number += 1
                path = self._folder / fitted(stem, f"-{number}.png")
            return path
        while True:
            path = self._folder / unique(f"{stem}.png", self._names)
            if not self._claims.is_taken(path, FLAG):
                return path


def _stem(result: Result) -> str:
    stem = safe_name(result.name if result.source.live else Path(result.name).stem)
    return f"{stem}-{utc_stamp(result.source.started)}" if result.source.started else stem


OUTPUTS.register(
    OutputKind(
        name="crops",
        rank=10,  # before those that show the names of its files
        open=CropOutput,
        flag=FLAG,
        metavar="DIR",
        help="an image of each plate",
    )
)
