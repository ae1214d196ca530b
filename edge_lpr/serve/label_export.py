"""What was corrected by hand as training labels: a zip of crops, and PaddleOCR's list of what they say."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from contextlib import suppress
from typing import IO

from edge_lpr.serve.pictures import Pictures
from edge_lpr.serve.store import StoredEvent

__all__ = ["LABEL_FILE", "export_labels"]

LABEL_FILE = "rec.txt"
"""As `edge-lpr finetune rec` looks for it in a folder; see `edge_lpr.datasets.labels`."""


def export_labels(events: Iterable[StoredEvent], pictures: Pictures, file: IO[bytes]) -> int:
    """Writes the crops of corrected passages with what a person says that they show.

    Unpacked, it is a folder of labelled plates: `edge-lpr finetune rec --ccpd FOLDER`. A correction that says
    what was read already is a label as well: somebody has looked.

    Args:
        events: Passages; those that nobody has corrected, and those whose crop is deleted, are passed over.
        pictures: Where the crops are.
        file: Takes the zip; need not be able to seek.

    Returns:
        How many plates there are in it.
    """
    lines: list[str] = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for event in events:
            path = pictures.open_path(event.record.crop) if event.corrected_text else None
            if path is None:
                continue
            with suppress(FileNotFoundError):  # deleted by retention just now
                data = path.read_bytes()
                # Flat, and numbered by the sequence: no name of anybody's is a path in it.
                name = f"crops/{event.sequence:09d}.jpg"
                archive.writestr(name, data)
                lines.append(f"{name}\t{event.corrected_text}\n")
        archive.writestr(LABEL_FILE, "".join(lines))
    return len(lines)
