"""The search for passages: by plate with wildcards and look-alikes, by camera, time, list and more."""

from __future__ import annotations

import math
import re
import sqlite3
from dataclasses import dataclass

from edge_lpr.datasets.label_text import clean_text
from edge_lpr.errors import InputError, shown
from edge_lpr.serve.database import Database
from edge_lpr.serve.matching import MAX_STARS, fold, glob, is_pattern
from edge_lpr.serve.rows import COLUMNS, StoredEvent, stored

__all__ = ["MAX_LIMIT", "Page", "Query", "search", "statement_of"]

MAX_LIMIT = 1000
"""Passages of a page, at most."""
_MAX_PATTERN = 32
_CURSOR = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)_([0-9]{1,18})", re.ASCII)


@dataclass(frozen=True)
class Query:
    """What is looked for; what is left empty does not count.

    Attributes:
        plate: The plate as it was read or corrected; "?" is one character, "*" any number.
        lookalikes: Whether characters that look alike are taken for each other.
        camera: The camera's name.
        since: First seen then or later, in seconds since the epoch.
        before: First seen earlier than that.
        list: The name of a list that matched.
        action: What the list that counts says: "allow", "deny" or "watch".
        kind: The kind of plate.
        direction: "in" or "out".
        limit: Passages of a page, 1 to 1000.
        cursor: `Page.cursor` of the page before; "" is the first.
    """

    plate: str = ""
    lookalikes: bool = True
    camera: str = ""
    since: float | None = None
    before: float | None = None
    list: str = ""
    action: str = ""
    kind: str = ""
    direction: str = ""
    limit: int = 50
    cursor: str = ""


@dataclass(frozen=True)
class Page:
    """A part of what was found.

    Attributes:
        events: The passages, the newest first.
        cursor: Where the next page begins; "" where this is the last. What comes meanwhile changes no page.
    """

    events: tuple[StoredEvent, ...]
    cursor: str


def search(database: Database, query: Query) -> Page:
    """Finds passages, the newest first.

    Args:
        database: The database.
        query: What is looked for.

    Raises:
        InputError: The plate, the limit or the cursor can be none.
    """
    if not 1 <= query.limit <= MAX_LIMIT:
        raise InputError(f"limit {query.limit}: expected 1 to {MAX_LIMIT}")
    statement, values = statement_of(query)
    rows: list[sqlite3.Row] = database.reader().execute(statement, values).fetchall()
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    cursor = f"{rows[-1]['first']!r}_{rows[-1]['number']}" if more else ""
    return Page(tuple(stored(row) for row in rows), cursor)


def statement_of(query: Query) -> tuple[str, list[object]]:
    """Returns the SQL of a query and the values in it, one passage more than its page has."""
    conditions: list[str] = []
    values: list[object] = []

    def add(condition: str, *more: object) -> None:
        conditions.append(condition)
        values.extend(more)

    index = ""
    if query.list or query.action:
        # Those are few: an index of their own has them, which SQLite takes where it is told to.
        index = " INDEXED BY events_listed"
        add("lists != ''")
    if query.plate.strip():
        text = _plate(query.plate)
        if is_pattern(text):
            # By time, so that a page is full soon where many match; not all of those sorted first.
            index = index or " INDEXED BY events_first"
            add("(folded GLOB ? OR corrected_folded GLOB ?)", *[glob(fold(text))] * 2)
        else:
            index = ""
            same = "SELECT number FROM events WHERE"
            add(f"number IN ({same} folded = ? UNION {same} corrected_folded = ?)", *[fold(text)] * 2)
        if not query.lookalikes:
            add("(text GLOB ? OR corrected_text GLOB ?)", *[glob(text)] * 2)
    for name in ("camera", "action", "kind", "direction"):
        if value := getattr(query, name):
            add(f"{name} = ?", value)
    if query.list:
        add("instr(lists, ?) > 0", f",{query.list},")
    if query.since is not None:
        add("first >= ?", query.since)
    if query.before is not None:
        add("first < ?", query.before)
    if query.cursor:
        add("(first, number) < (?, ?)", *_cursor(query.cursor))
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    order = "ORDER BY first DESC, number DESC LIMIT ?"
    return f"SELECT number, first, {COLUMNS} FROM events{index}{where} {order}", [*values, query.limit + 1]


def _plate(plate: str) -> str:
    text = clean_text(plate)
    if not text or len(text) > _MAX_PATTERN or text.count("*") > MAX_STARS:
        raise InputError(
            f"plate {shown(plate)}: expected 1 to {_MAX_PATTERN} characters, ? for any one and at most "
            f"{MAX_STARS} * for any number"
        )
    return text


def _cursor(text: str) -> tuple[float, int]:
    found = _CURSOR.fullmatch(text)
    first = float(found[1]) if found else math.nan
    if found is None or not math.isfinite(first):
        raise InputError(f"cursor {shown(text)}: expected one that a page before has given")
    return first, int(found[2])
