"""How often each list has matched."""

from __future__ import annotations

from dataclasses import dataclass

from edge_lpr.pipeline.wall_clock import iso, utc
from edge_lpr.serve.database import Database

__all__ = ["ListHits", "list_hits"]


@dataclass(frozen=True)
class ListHits:
    """The hits of a list.

    Attributes:
        hits: Passages that it matched.
        last_utc: When the last of them was first seen, ISO 8601 UTC; "" for none.
    """

    hits: int = 0
    last_utc: str = ""


def list_hits(database: Database, since: float) -> dict[str, ListHits]:
    """Counts the hits of all lists.

    Args:
        database: The database.
        since: Passages first seen then or later, in seconds since the epoch.

    Returns:
        Those of each list that matched at all, by its name.
    """
    found: dict[str, tuple[int, float]] = {}
    rows = database.reader().execute(
        "SELECT lists, count(*) AS hits, max(first) AS last FROM events WHERE lists != '' AND first >= ?"
        " GROUP BY lists",
        (since,),
    )
    for row in rows:  # a passage that several lists matched has all their names, between commas
        for name in filter(None, row["lists"].split(",")):
            hits, last = found.get(name, (0, 0.0))
            found[name] = hits + row["hits"], max(last, row["last"])
    return {name: ListHits(hits, iso(utc(last))) for name, (hits, last) in found.items()}
