"""Spans of time, their hours and days, and what is counted in them: for the pages and the interface alike."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from edge_lpr.serve.counts import STARTS, By, Count, CountQuery
from edge_lpr.serve.list_hits import ListHits, list_hits
from edge_lpr.serve.settings import ListSettings, ServeSettings
from edge_lpr.serve.stays import Stay
from edge_lpr.serve.web.asking import Ask
from edge_lpr.serve.web.charts import SERIES, Bar
from edge_lpr.serve.web.context import WebContext
from edge_lpr.serve.web.filters import SPAN
from edge_lpr.serve.web.parameters import Parameter
from edge_lpr.serve.web.problems import Problem

__all__ = [
    "BY",
    "COUNT_FILTERS",
    "HIT_DAYS",
    "STAY_FILTERS",
    "Table",
    "counted",
    "found_stays",
    "listed",
    "sites",
    "span",
    "table_of",
]

_DAY = 86_400.0
HIT_DAYS = 30
"""Of which hits of lists are told."""
_MOST = {"hour": 14 * _DAY, "day": 400 * _DAY}
_BY = Parameter("by", "what the time is cut into", choices=tuple(STARTS), default="hour")
BY = ("direction", "kind", "camera")
"""What a chart tells apart."""
COUNT_FILTERS = (*SPAN, _BY, Parameter("camera", "at this camera alone", most=48, default=""))
STAY_FILTERS = (*SPAN, Parameter("site", "the site, as cameras name it", most=64, default=""))


@dataclass(frozen=True)
class Table:
    """Counts as a table: hours or days down, what is told apart across.

    Attributes:
        series: What the columns are called.
        rows: Hours or days, each with its counts.
    """

    series: Sequence[str]
    rows: Sequence[Bar]

    @property
    def total(self) -> int:
        """All of it."""
        return sum(sum(row.counts) for row in self.rows)


def span(values: Mapping[str, Any], seconds: float, longest: float) -> tuple[float, float]:
    """Returns the span that is asked for, in seconds since the epoch; by default the last so many seconds.

    Raises:
        Problem: It ends before it begins, or is longer than the longest.
    """
    before = values["to"] if values["to"] is not None else time.time()
    since = values["from"] if values["from"] is not None else before - seconds
    if not 0 <= since < before:
        raise Problem(400, "to is not later than from", field="to")
    if before - since > longest:
        raise Problem(400, f"from and to are more than {longest / _DAY:g} days apart", field="from")
    return since, before


def counted(ask: Ask) -> tuple[list[Count], float, float]:
    """Counts what `COUNT_FILTERS` ask for; by default the last day, or month where it is cut into days."""
    by = ask.values["by"]
    since, before = span(ask.values, _DAY if by == "hour" else 31 * _DAY, _MOST[by])
    query = CountQuery(since, before, by, ask.values["camera"])
    return ask.context.store.counts(query), since, before


def table_of(found: Sequence[Count], apart: str, by: By, since: float, before: float) -> Table:
    """Makes a table of counts; hours and days without any passage are in it.

    Args:
        found: The counts.
        apart: Of `BY`: what the columns are.
        by: "hour" or "day".
        since: When it begins, in seconds since the epoch.
        before: When it ends.
    """
    sums: dict[str, dict[str, int]] = {}
    for one in found:
        name = getattr(one, apart) or "not known"
        sums.setdefault(name, {})
        sums[name][one.start] = sums[name].get(one.start, 0) + one.count
    # Directions in their own order, so that each keeps its colour; else the most frequent first.
    series = sorted(sums, key=lambda name: name if apart == "direction" else -sum(sums[name].values()))
    if len(series) > SERIES:
        rest = [sums.pop(name) for name in series[SERIES - 1 :]]
        series = [*series[: SERIES - 1], "others"]
        starts = {start for one in rest for start in one}
        sums["others"] = {start: sum(one.get(start, 0) for one in rest) for start in starts}
    rows = [
        Bar(start, tuple(sums[name].get(start, 0) for name in series)) for start in _starts(by, since, before)
    ]
    return Table(series, rows)


def sites(settings: ServeSettings) -> list[str]:
    """Returns the sites whose cameras tell entries from exits."""
    cameras = settings.cameras.values()
    return sorted({one.site for one in cameras if one.role or one.direction != "none"})


def listed(context: WebContext, lists: Mapping[str, ListSettings]) -> list[dict[str, Any]]:
    """Returns of each list its name and action, how many plates it has, and how often it has matched.

    Args:
        context: The service.
        lists: The lists of the configuration that holds.
    """
    hits = list_hits(context.store.database, time.time() - HIT_DAYS * _DAY)
    sizes = context.lists.sizes()
    return [
        {
            "name": name,
            "action": one.action,
            "plates": sizes.get(name, 0),
            **asdict(hits.get(name, ListHits())),
        }
        for name, one in lists.items()
    ]


def found_stays(ask: Ask) -> list[Stay]:
    """Finds what `STAY_FILTERS` ask for; by default of the last day."""
    since, before = span(ask.values, _DAY, 366 * _DAY)
    return ask.context.store.stays(ask.values["site"], since, before)


def _starts(by: By, since: float, before: float) -> list[str]:
    """Returns the hours or days of a span, as counts name them: by the clock of this machine."""
    # An hour that comes twice in autumn is one; a day has 23 to 25 of them.
    step = 900 if by == "hour" else 3 * 3600  # hours begin at a quarter, in some zones
    moments = range(int(since - since % step), int(before) + 1, step)
    clipped = (max(since, moment) for moment in moments if moment < before)
    names = dict.fromkeys(datetime.fromtimestamp(moment).strftime(STARTS[by]) for moment in clipped)
    return list(names)
