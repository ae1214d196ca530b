"""The plates' images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_lpr.geometry import crop_quad
from edge_lpr.io.atomic_io import create_folder, safe_name, unique
from edge_lpr.io.image_io import write_image
from edge_lpr.outputs.base import ALONE, OUTPUTS, Output, OutputKind, RunInfo
from edge_lpr.outputs.records import Result, utc_stamp
from edge_lpr.pipeline.events import PlateEvent
from edge_lpr.pipeline.stream import FrameResult

__all__ = ["CropOutput"]

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
        self._names: set[str] = set()
        self._vehicles: dict[str, str] = {}
        create_folder(self._folder)

    def write(self, frame_result: FrameResult, results: Sequence[Result]) -> None:
        """Writes the crop of each result that has an image; see `Output.write`."""
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
            known = self._vehicles.get(item.id) if isinstance(item, PlateEvent) else None
            name = known or self._new_name(f"{_stem(result)}-{index:06d}-{safe_name(item.text)}.png", result)
            write_image(self._folder / name, crop)
            result.crop = name

    def _new_name(self, name: str, result: Result) -> str:
        item = result.item
        if not result.source.live:
            return unique(name, self._names)
        # A camera's run has no end: what it names is looked up in the folder, and not remembered for ever.
        taken: set[str] = set()
        while (self._folder / (free := unique(name, taken))).exists():
            pass
        if isinstance(item, PlateEvent) and item.state != "end":
            self._vehicles[item.id] = free
            if len(self._vehicles) > _VEHICLES:
                self._vehicles.pop(next(iter(self._vehicles)))
        return free


def _stem(result: Result) -> str:
    stem = safe_name(result.name if result.source.live else Path(result.name).stem)
    return f"{stem}-{utc_stamp(result.source.started)}" if result.source.started else stem


OUTPUTS.register(
    OutputKind(
        name="crops",
        rank=10,  # before those that show the names of its files
        open=CropOutput,
        flag="--crops",
        metavar="DIR",
        help="an image of each plate",
    )
)
