"""What readers die of: at which picture or segment, and how often; one that kills them is given up."""

from __future__ import annotations

from types import TracebackType

from edge_lpr.archive.notes import BEGIN, Notes

__all__ = ["Attempt"]


class Attempt:
    """One attempt at a unit, which leaves notes behind where its process dies; a context manager.

    Args:
        notes: The notes of the unit, which all attempts add to.
        retries: How many more attempts there are at what one died of.
    """

    def __init__(self, notes: Notes, retries: int) -> None:
        self._notes = notes
        self._retries = retries
        self._deaths: dict[int, int] = {}
        for line in notes.read().split(BEGIN)[1:]:
            if places := line.split():  # one that had not come so far died of something else
                place = int(places[-1]) if places[-1].isdigit() else 0
                self._deaths[place] = self._deaths.get(place, 0) + 1

    def __enter__(self) -> Attempt:
        self._notes.add(BEGIN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._notes.close()

    def may_try(self, place: int) -> bool:
        """Tells whether something is to be read; where so, notes that this attempt is at it.

        Args:
            place: Which picture of the unit it is, from 0.
        """
        if self._deaths.get(place, 0) > self._retries:
            return False
        self._notes.add(b"%d\n" % place)
        return True

    def deaths(self, place: int) -> int:
        """Returns how many earlier attempts ended at a picture."""
        return self._deaths.get(place, 0)
