"""What of an archive could not be read: noted unit by unit, and listed once a run is over."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress

from edge_lpr.archive.places import Place, write_whole
from edge_lpr.archive.units import Failure

__all__ = ["Failures"]


class Failures:
    """The notes of all units and videos, each a file of its own, and the list that is made of them.

    Args:
        folder: The archive's own folder; its `failures` has the notes.

    Attributes:
        list: The file with all of them, one a line, for people and programs.
    """

    def __init__(self, folder: Place) -> None:
        self.list = folder / "failures.jsonl"
        self._notes = folder / "failures"

    def note(self, name: str, failures: Sequence[Failure]) -> None:
        """Notes what of a unit or video could not be read, in place of what was noted before.

        Raises:
            OutputError: It cannot be written.
        """
        path = self._note(name)
        if failures:
            write_whole(path, _lines(failures), durable=False)
        else:
            path.unlink(missing_ok=True)

    def of(self, name: str) -> list[Failure]:
        """Returns what of a unit or video could not be read; nothing where no note of it can be read."""
        with suppress(OSError, ValueError, TypeError):
            # Not `splitlines`, which takes some characters of names for ends of lines.
            lines = self._note(name).read_text("utf-8").split("\n")
            return [Failure.from_dict(json.loads(line)) for line in lines if line]
        return []

    def gathered(self, found: Sequence[Failure] = ()) -> list[Failure]:
        """Returns all that could not be read, in the order of the units' identifiers.

        Args:
            found: What was found before there were units.
        """
        failures = [*found]
        for name in sorted(path.stem for path in self._notes.glob("*.jsonl")):
            failures += self.of(name)
        return failures

    def write(self, failures: Sequence[Failure]) -> None:
        """Writes the list of all that could not be read.

        Raises:
            OutputError: It cannot be written.
        """
        write_whole(self.list, _lines(failures))

    def _note(self, name: str) -> Place:
        return self._notes / f"{name}.jsonl"


def _lines(failures: Sequence[Failure]) -> bytes:
    lines = [json.dumps(failure.to_dict(), ensure_ascii=False) + "\n" for failure in failures]
    return "".join(lines).encode("utf-8", "replace")
