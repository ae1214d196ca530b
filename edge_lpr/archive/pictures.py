"""A block of pictures: its rows, and what of it could not be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edge_lpr.archive.attempts import Attempt
from edge_lpr.archive.fetching import fetched
from edge_lpr.archive.units import Failure, SourceFile, Unit
from edge_lpr.errors import SourceError
from edge_lpr.geometry import crop_quad
from edge_lpr.io.frames import Frame, Source
from edge_lpr.io.image_io import decode_image, encode_image
from edge_lpr.outputs.records import Result, to_record
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.types import Image

__all__ = ["png", "read_pictures"]


def read_pictures(
    unit: Unit, reader: PlateReader, attempt: Attempt, *, max_pixels: int, retries: int, crops: bool
) -> tuple[list[dict[str, Any]], list[Failure]]:
    """Reads a block.

    Args:
        unit: The block.
        reader: Reads it, several pictures at once where that is faster.
        attempt: Knows at which pictures readers died.
        max_pixels: The largest picture.
        retries: How often one is fetched again.
        crops: Whether rows have the plates' images.

    Returns:
        A row for each plate, as `edge_lpr.archive.schema.rows_schema` has them, in the pictures' order, and
        what could not be read.

    Raises:
        BackendError: The backend failed.
    """
    rows: list[dict[str, Any]] = []
    failures: list[Failure] = []
    size = reader.detector.backend.preferred_batch
    waiting: list[list[tuple[SourceFile, Image]]] = []

    def batches() -> Iterator[list[Image]]:
        batch: list[tuple[SourceFile, Image]] = []
        for place, (file, data) in enumerate(fetched(unit.files, retries)):
            if not attempt.may_try(place):
                reason = f"{file.name}: the reader died as it was read, {attempt.deaths(place)} times"
                failures.append(Failure(file.name, reason, unit=unit.id))
                continue
            try:
                if isinstance(data, SourceError):
                    raise data
                batch.append((file, decode_image(data, file.name, max_pixels)))
            except SourceError as e:
                failures.append(Failure(file.name, str(e), unit=unit.id))
                continue
            if len(batch) >= size:
                waiting.append(batch)
                yield [image for _, image in batch]
                batch = []
        if batch:
            waiting.append(batch)
            yield [image for _, image in batch]

    for found in reader.read_batches(batches()):
        for (file, image), reads in zip(waiting.pop(0), found, strict=True):
            frame, source = Frame(image, file.index, None, file.name), Source(file.name, lambda _: None)
            for read in reads:
                record = to_record(Result(source, frame, read, file.name))
                plate = png(crop_quad(image, read.corners)) if crops else None
                rows.append({**record, "unit": unit.id, "image": plate})
    return rows, failures


def png(image: Image) -> bytes | None:
    """Returns a plate's image as the bytes of a PNG file; None where it has no pixels."""
    return encode_image(image, ".png") if image.size else None
