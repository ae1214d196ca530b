"""Stays: an entry and an exit of one plate at one site, and who is there now."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from edge_lpr.pipeline.wall_clock import iso, utc
from edge_lpr.serve.database import Database
from edge_lpr.serve.matching import fold

__all__ = ["LONGEST", "Stay", "occupancy", "stays"]

LONGEST = 31 * 86_400.0
"""Seconds after which one who was not seen leaving is taken to have left."""
# A character that was read with less than this may be another one.
_SURE = 0.9


@dataclass(frozen=True)
class Stay:
    """One vehicle's time at a site.

    Attributes:
        site: The site.
        plate: As it was corrected or read, at the entry where that was seen.
        entry: The id of the passage that came in; "" where nobody saw it.
        exit: The id of the one that went out; "" where it has not, or nobody saw it.
        entered_utc: When it came in, ISO 8601 UTC; "" where nobody saw it.
        left_utc: When it went out, likewise.
        seconds: How long it stayed; None where one of the two is missing.
        inside: Whether it is there still, as far as is known.
    """

    site: str
    plate: str
    entry: str = ""
    exit: str = ""
    entered_utc: str = ""
    left_utc: str = ""
    seconds: float | None = None
    inside: bool = False


@dataclass
class _Crossing:
    id: str
    enters: bool
    text: str
    scores: tuple[float, ...]  # of its characters; of a corrected text, 1 each
    time: float
    folded: str = field(init=False)

    def __post_init__(self) -> None:
        self.folded = fold(self.text)


def stays(database: Database, site: str, since: float, before: float) -> list[Stay]:
    """Pairs the entries and exits of a site.

    What a camera with the role entry sees comes in, unless its direction is out, as one that turns back has
    not come in; with the role exit likewise the other way round. Without a role the direction alone tells.

    An exit belongs to the last entry of the same plate, look-alikes taken for each other; else to the one
    plate inside that differs in one character, where that was read with little certainty at either. Who
    enters twice has left unseen in between.

    Args:
        database: The database.
        site: The site, as cameras name it; "" is that of all that name none.
        since: In seconds since the epoch.
        before: Likewise.

    Returns:
        The stays of which a part lies between the two, by their beginning. Who entered earlier than
        `LONGEST` before is not looked for.
    """
    found = _paired(site, _crossings(database, site, since - LONGEST, before))
    now_inside = [stay for stay, end in found if end is None]
    over = [stay for stay, end in found if end is not None and end >= since]
    return sorted([*over, *now_inside], key=lambda stay: stay.entered_utc or stay.left_utc)


def occupancy(stays: Iterable[Stay]) -> int:
    """Returns how many of some stays go on."""
    return sum(stay.inside for stay in stays)


def _paired(site: str, crossings: Iterable[_Crossing]) -> list[tuple[Stay, float | None]]:
    """Returns the stays with the moment at which each was over; None where it goes on."""
    inside: dict[str, _Crossing] = {}
    found: list[tuple[Stay, float | None]] = []
    for one in crossings:
        if one.enters:
            if (lost := inside.pop(one.folded, None)) is not None:
                found.append((_stay(site, lost, None), one.time))
            inside[one.folded] = one
            continue
        entry = inside.pop(one.folded, None)
        near = [other for other in inside.values() if _may_be(other, one)] if entry is None else []
        if len(near) == 1:
            entry = inside.pop(near[0].folded)
        found.append((_stay(site, entry, one), one.time))
    return found + [(_stay(site, one, None, inside=True), None) for one in inside.values()]


def _stay(site: str, entry: _Crossing | None, left: _Crossing | None, inside: bool = False) -> Stay:
    known = entry or left
    return Stay(
        site,
        known.text if known else "",
        entry.id if entry else "",
        left.id if left else "",
        iso(utc(entry.time)) if entry else "",
        iso(utc(left.time)) if left else "",
        round(left.time - entry.time, 3) if entry and left else None,
        inside,
    )


def _may_be(first: _Crossing, second: _Crossing) -> bool:
    """Tells whether two differ in one character alone, of which one of the two is not sure."""
    if len(first.folded) != len(second.folded):
        return False
    pairs = zip(first.folded, second.folded, first.scores, second.scores, strict=True)
    differing = [min(a, b) for mine, theirs, a, b in pairs if mine != theirs]
    return len(differing) == 1 and differing[0] < _SURE


def _crossings(database: Database, site: str, since: float, before: float) -> list[_Crossing]:
    rows = database.reader().execute(
        "SELECT id, role, direction, text, corrected_text, first, record FROM events"
        " WHERE site = ? AND first >= ? AND first < ? AND (role != '' OR direction != '')"
        " ORDER BY first, number",
        (site, since, before),
    )
    found = []
    for row in rows:
        way = {"entry": "in", "exit": "out"}.get(row["role"], row["direction"])
        if row["direction"] not in ("", way):
            continue  # turned back
        text = row["corrected_text"] or row["text"]
        scores = tuple(json.loads(row["record"])["char_scores"])
        if row["corrected_text"] or len(scores) != len(text):
            scores = (1.0,) * len(text)
        found.append(_Crossing(row["id"], way == "in", text, scores, row["first"]))
    return found
