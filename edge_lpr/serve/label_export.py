"""What was corrected by hand as training labels: a zip of crops, and PaddleOCR's list of what they say."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator

from edge_lpr.serve.pictures import Pictures
from edge_lpr.serve.rows import StoredEvent

__all__ = ["LABEL_FILE", "label_parts"]

LABEL_FILE = "rec.txt"
"""As `edge-lpr finetune rec` looks for it in a folder; see `edge_lpr.datasets.labels`."""


def label_parts(events: Iterable[StoredEvent], pictures: Pictures) -> Iterator[bytes]:
    """Makes a zip of the crops of corrected passages with what a person says that they show.

    Unpacked, it is a folder of labelled plates: `edge-lpr finetune rec --ccpd FOLDER`. A correction that says
    what was read already is a label as well: somebody has looked.

    Args:
        events: Passages; those that nobody has corrected, and those whose crop is deleted, are passed over.
        pictures: Where the crops are.

    Yields:
        The zip's bytes, a picture at a time: it may be larger than the memory.
    """
    lines: list[str] = []
    out = _Pipe()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for event in events:
            path = pictures.open_path(event.record.crop) if event.corrected_text else None
            if path is None:
                continue
            try:
                data = path.read_bytes()
            except OSError:  # deleted by retention just now
                continue
            # Flat, and numbered by the sequence: no name of anybody's is a path in it.
            name = f"crops/{event.sequence:09d}.jpg"
            archive.writestr(name, data)
            lines.append(f"{name}\t{event.corrected_text}\n")
            yield out.take()
        archive.writestr(LABEL_FILE, "".join(lines))
    yield out.take()


class _Pipe(io.RawIOBase):
    """A file that is written forwards alone, and taken away as it comes."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(memoryview(data))  # type: ignore[arg-type]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken
