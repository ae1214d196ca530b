"""Corrected crops as a training set: what PaddleOCR and `edge-lpr finetune rec` take."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LABELS", "LabelledCrop", "zip_parts"]

LABELS = "rec.txt"
"""The label file's name: "crop<TAB>text" a line (docs/fine-tuning.md)."""
_README = """Crops of plates whose text was corrected or confirmed by hand on the page of edge-lpr serve.
rec.txt names each with its text, as PaddleOCR has it. To train: unpack, and
edge-lpr finetune rec --ccpd THIS-FOLDER
"""


@dataclass(frozen=True)
class LabelledCrop:
    """One of them.

    Attributes:
        name: Of the file in the set.
        path: Where the picture is.
        text: What a person says that it reads.
    """

    name: str
    path: Path
    text: str


def zip_parts(crops: Sequence[LabelledCrop]) -> Iterator[bytes]:
    """Makes a ZIP file, a picture at a time, so that none of it has to fit the memory.

    Args:
        crops: What goes in; a picture that is gone meanwhile is left out, and its label with it.

    Yields:
        Its bytes.
    """
    out = _Pipe()
    labels = []
    # JPEG gets no smaller by being packed.
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        for crop in crops:
            try:
                data = crop.path.read_bytes()
            except OSError:
                continue
            name = f"crops/{crop.name}"
            packed.writestr(name, data)
            labels.append(f"{name}\t{crop.text}\n")
            yield out.take()
        packed.writestr(LABELS, "".join(labels))
        packed.writestr("README.txt", _README)
    yield out.take()


class _Pipe(io.RawIOBase):
    """A file that is written forwards alone, and taken away as it is."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken
