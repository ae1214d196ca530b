"""How many passages there were: by hour or day, camera, direction and kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_lpr.serve.database import Database

__all__ = ["STARTS", "By", "Count", "CountQuery", "counts"]

By = Literal["hour", "day"]
STARTS: dict[By, str] = {"hour": "%Y-%m-%dT%H:00", "day": "%Y-%m-%d"}
"""How an hour and a day are called, as `strftime` takes it, that of SQLite too."""


@dataclass(frozen=True)
class CountQuery:
    """What is counted.

    Attributes:
        since: First seen then or later, in seconds since the epoch.
        before: First seen earlier than that.
        by: What the time is cut into, by the clock of this machine.
        camera: At this camera alone; "" at all.
    """

    since: float
    before: float
    by: By = "hour"
    camera: str = ""


@dataclass(frozen=True)
class Count:
    """A number of passages.

    Attributes:
        start: The hour or the day, local time: "2026-11-27T07:00" or "2026-11-27".
        camera: The camera's name.
        direction: "in", "out" or "".
        kind: The kind of plate.
        count: How many; 1 at least, as what did not happen has no row.
    """

    start: str
    camera: str
    direction: str
    kind: str
    count: int


def counts(database: Database, query: CountQuery) -> list[Count]:
    """Counts passages.

    Args:
        database: The database.
        query: What is counted.

    Returns:
        The numbers above 0, by time, camera, direction and kind.
    """
    where, values = "first >= ? AND first < ?", [query.since, query.before]
    camera = (query.camera,) if query.camera else ()
    rows = database.reader().execute(
        f"SELECT strftime('{STARTS[query.by]}', first, 'unixepoch', 'localtime') AS start, camera,"
        f" direction, kind, count(*) AS count FROM events WHERE {'camera = ? AND ' if camera else ''}{where}"
        " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
        (*camera, *values),
    )
    return [Count(**dict(row)) for row in rows]
