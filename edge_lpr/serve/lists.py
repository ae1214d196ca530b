"""Lists of plates: who is known, and what that means for what is told of a passage."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice
from pathlib import Path

from edge_lpr.datasets.label_text import clean_text
from edge_lpr.errors import InputError, shown
from edge_lpr.serve.list_files import read_list
from edge_lpr.serve.matching import MAX_STARS, PlateTable, fold, is_pattern, pattern_regex, single_stars
from edge_lpr.serve.plate_entry import MAX_PLATE, PlateEntry, parse_day
from edge_lpr.serve.record import How, Match
from edge_lpr.serve.settings import ListSettings
from edge_lpr.serve.spans import Spans

__all__ = ["Lists", "PlateList"]

# Of lists of one priority: what keeps out goes before what lets in.
_ACTIONS = ("deny", "allow", "watch")


class PlateList:
    """One list, ready to be asked.

    Args:
        name: Its name.
        settings: What the configuration says of it.
        entries: All its plates, those of its file among them; such with wildcards are patterns.

    Raises:
        InputError: A plate, pattern or time of day is none.
    """

    def __init__(self, name: str, settings: ListSettings, entries: Sequence[PlateEntry]) -> None:
        self.name = name
        self.settings = settings
        self._times = Spans.parse(settings.times, f"lists.{name}.times")
        self._plates: list[PlateEntry] = []
        self._patterns: list[tuple[re.Pattern[str], PlateEntry]] = []
        self._exact: dict[str, list[PlateEntry]] = {}
        self._alike: dict[str, list[PlateEntry]] = {}
        texts: list[str] = []
        for entry in entries:
            text = clean_text(entry.plate)
            if not 1 <= len(text) <= MAX_PLATE:
                raise InputError(
                    f"lists.{name}: plate {shown(entry.plate)}: expected 1 to {MAX_PLATE} characters"
                )
            if is_pattern(text):
                self._patterns.append((re.compile(self._pattern(text)), entry))
                continue
            self._exact.setdefault(text, []).append(entry)
            if settings.lookalikes:
                self._alike.setdefault(fold(text), []).append(entry)
            self._plates.append(entry)
            texts.append(self._folded(text))
        # One look at all patterns together, as nearly all plates match none.
        together = "|".join(f"(?:{pattern.pattern})" for pattern, _ in self._patterns)
        self._any_pattern = re.compile(together) if self._patterns else None
        self._table = PlateTable(texts) if settings.doubtful else None

    def __len__(self) -> int:
        return len(self._plates) + len(self._patterns)

    def entries(self) -> Iterator[PlateEntry]:
        """Yields its plates, then its patterns."""
        yield from self._plates
        yield from (entry for _, entry in self._patterns)

    def match(
        self,
        text: str,
        char_scores: Sequence[float],
        candidates: Sequence[str],
        camera: str,
        when: datetime,
    ) -> Match | None:
        """Returns why this list matches, the surest reason; None where it does not."""
        if (self.settings.cameras and camera not in self.settings.cameras) or not self._times.holds(when):
            return None
        found = chain(
            self._same(text, "exact", "lookalike"),
            self._by_pattern(text),
            self._doubtful(text, char_scores),
            *(self._same(one, "candidate", "candidate") for one in candidates[: self.settings.candidates]),
        )
        today = when.astimezone().date()
        for entry, how in found:
            if entry.until is None or today <= entry.until:
                return Match(self.name, self.settings.action, entry.name, entry.plate, how)
        return None

    def _folded(self, text: str) -> str:
        return fold(text) if self.settings.lookalikes else text

    def _pattern(self, text: str) -> str:
        pattern = single_stars(self._folded(text))
        if pattern.count("*") > MAX_STARS:
            raise InputError(f"lists.{self.name}: pattern {shown(text)}: expected {MAX_STARS} * at most")
        return pattern_regex(pattern)

    def _same(self, text: str, same: How, alike: How) -> Iterator[tuple[PlateEntry, How]]:
        for entry in self._exact.get(text, ()):
            yield entry, same
        for entry in self._alike.get(fold(text), ()):
            yield entry, alike

    def _by_pattern(self, text: str) -> Iterator[tuple[PlateEntry, How]]:
        folded = self._folded(text)
        if self._any_pattern is not None and self._any_pattern.fullmatch(folded):
            for pattern, entry in self._patterns:
                if pattern.fullmatch(folded):
                    yield entry, "pattern"

    def _doubtful(self, text: str, char_scores: Sequence[float]) -> Iterator[tuple[PlateEntry, How]]:
        if self._table is not None and len(char_scores) == len(text):
            doubtful = [score < self.settings.sure for score in char_scores]
            for i in self._table.near(self._folded(text), doubtful, self.settings.doubtful):
                yield self._plates[i], "doubtful"


class Lists:
    """All lists of a configuration.

    Args:
        lists: They.
    """

    def __init__(self, lists: Iterable[PlateList] = ()) -> None:
        self._lists = sorted(
            lists, key=lambda one: (-one.settings.priority, _ACTIONS.index(one.settings.action))
        )

    @classmethod
    def load(cls, settings: Mapping[str, ListSettings], base: Path) -> Lists:
        """Makes the lists of a configuration, and reads their files.

        Args:
            settings: Of each list, by its name.
            base: The folder that files are relative to.

        Raises:
            InputError: A file cannot be read or has a wrong line; or a plate, pattern or time is none.
        """
        return cls(PlateList(name, one, _entries(name, one, base)) for name, one in settings.items())

    def sizes(self) -> dict[str, int]:
        """Returns how many plates and patterns each list has, by its name."""
        return {one.name: len(one) for one in self._lists}

    def plates(self, name: str, limit: int) -> list[PlateEntry]:
        """Returns the first plates and patterns of a list, at most so many; none of one that is not there."""
        found = (entry for one in self._lists if one.name == name for entry in one.entries())
        return list(islice(found, limit))

    def match(
        self,
        text: str,
        char_scores: Sequence[float],
        candidates: Sequence[str],
        camera: str,
        when: datetime,
    ) -> tuple[Match, ...]:
        """Finds the lists that match.

        Args:
            text: The plate's characters.
            char_scores: Probability of each, 0 to 1.
            candidates: Other readings of the plate, the most probable first.
            camera: Where it was read.
            when: When, with a zone.

        Returns:
            One match for each list that matches, the one that counts first: of the highest priority, and of
            those deny before allow before watch.
        """
        found = (one.match(text, char_scores, candidates, camera, when) for one in self._lists)
        return tuple(match for match in found if match is not None)


def _entries(name: str, settings: ListSettings, base: Path) -> list[PlateEntry]:
    entries = [PlateEntry(pattern) for pattern in settings.patterns]
    for plate in settings.plates:
        if isinstance(plate, str):
            entries.append(PlateEntry(plate))
            continue
        try:
            entries.append(PlateEntry(plate.plate, plate.name, parse_day(plate.until)))
        except InputError as e:
            raise InputError(f"lists.{name}: plate {shown(plate.plate)}: {e}") from e
    if settings.file is not None:
        entries += read_list(base / settings.file)
    return entries
