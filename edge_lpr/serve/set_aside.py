"""Records that the database had not taken as the service ended: in a file until the next start."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from edge_lpr.errors import InputError
from edge_lpr.io.atomic_io import write_bytes
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.serve.pictures import Picture
from edge_lpr.serve.record import PassageRecord
from edge_lpr.serve.rows import record_of

__all__ = ["SetAside", "Told"]

Told = tuple[PassageRecord, Sequence[Picture]]
"""A record, and the pictures that were written for it."""
_MOST_BYTES = 1 << 30


class SetAside:
    """The file; whole, or not there.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, records: Iterable[Told]) -> None:
        """Writes records, through to the disk, in place of those that are there.

        Raises:
            OutputError: They cannot be written.
        """
        lines = (
            json.dumps({"record": asdict(record), "pictures": [asdict(one) for one in pictures]})
            for record, pictures in records
        )
        write_bytes(self.path, "".join(f"{line}\n" for line in lines).encode())

    def read(self) -> list[Told]:
        """Returns the records in their order; none where there is no file.

        Raises:
            InputError: It cannot be read, or somebody has changed it.
        """
        if not self.path.exists():
            return []
        data = read_bounded(self.path, _MOST_BYTES, "events that wait for the database", InputError)
        found: list[Told] = []
        for number, line in enumerate(data.splitlines(), 1):
            try:
                one = json.loads(line)
                found.append((record_of(one["record"]), [Picture(**picture) for picture in one["pictures"]]))
            except (ValueError, TypeError, KeyError, RecursionError) as e:
                raise InputError(
                    f"{self.path}:{number}: no event as the service writes it; move it away"
                ) from e
        return found

    def remove(self) -> None:
        """Deletes the file: the database has what is in it."""
        self.path.unlink(missing_ok=True)
