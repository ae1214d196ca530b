"""Days of the week and times of day: "Mon-Fri 07:00-19:00", "Sat,Sun", "22:00-06:00"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from edge_lpr.errors import InputError, shown

__all__ = ["Spans"]

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60
_TIMES = re.compile(r"([0-9]{1,2}):([0-9]{2})-([0-9]{1,2}):([0-9]{2})", re.ASCII)
_EXPECTED = 'expected days, times or both, as "Mon-Fri 07:00-19:00", "Sat,Sun" or "22:00-06:00"'


@dataclass(frozen=True)
class _Span:
    """Some days, and the minutes of them from `start` up to `end`; `end` is before `start` over midnight."""

    days: frozenset[int]
    start: int
    end: int

    def holds(self, day: int, minute: int) -> bool:
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        # What goes on after midnight belongs to the day that it began on: "Fri 22:00-06:00" ends on Saturday.
        return (day in self.days and minute >= self.start) or (
            (day - 1) % 7 in self.days and minute < self.end
        )


@dataclass(frozen=True)
class Spans:
    """When something holds; always, where nothing is said."""

    spans: tuple[_Span, ...] = ()

    @classmethod
    def parse(cls, texts: Sequence[str], name: str = "times") -> Spans:
        """Reads spans as a configuration writes them.

        Args:
            texts: One each; none is always.
            name: What messages call the setting.

        Raises:
            InputError: One is written otherwise.
        """
        return cls(tuple(_parse(text, name) for text in texts))

    def holds(self, moment: datetime) -> bool:
        """Tells whether a moment lies in one of the spans.

        Args:
            moment: A time of day with its zone, which is brought to the zone of this machine; or one without,
                taken as this machine's own.
        """
        local = moment.astimezone()
        minute = local.hour * 60 + local.minute
        return not self.spans or any(span.holds(local.weekday(), minute) for span in self.spans)


def _parse(text: str, name: str) -> _Span:
    words = text.lower().split()
    times = words.pop() if words and ":" in words[-1] else None
    if len(words) > 1 or (times is None and not words):
        raise InputError(f"{name}: {shown(text)}: {_EXPECTED}")
    days = _days(words[0], text, name) if words else frozenset(range(7))
    start, end = (0, _DAY) if times is None else _minutes(times, text, name)
    return _Span(days, start, end)


def _days(word: str, text: str, name: str) -> frozenset[int]:
    days: set[int] = set()
    for part in word.split(","):
        first, dash, last = part.partition("-")
        for day in (first, last) if dash else (first,):
            if day not in _DAYS:
                raise InputError(f"{name}: {shown(text)}: no day {shown(day)}; {_EXPECTED}")
        here = _DAYS.index(first)
        there = _DAYS.index(last) if dash else here
        days.update((here + i) % 7 for i in range((there - here) % 7 + 1))
    return frozenset(days)


def _minutes(times: str, text: str, name: str) -> tuple[int, int]:
    found = _TIMES.fullmatch(times)
    if found is None:
        raise InputError(f"{name}: {shown(text)}: {_EXPECTED}")
    hour, minute, to_hour, to_minute = map(int, found.groups())
    start, end = hour * 60 + minute, to_hour * 60 + to_minute
    if minute > 59 or to_minute > 59 or start >= _DAY or end > _DAY:
        raise InputError(f"{name}: {shown(text)}: no such time; expected 00:00 to 24:00")
    if start == end:
        raise InputError(f"{name}: {shown(text)}: begins when it ends; leave the times out for all day")
    return start, end
