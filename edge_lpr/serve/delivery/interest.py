"""Which outputs hear of a record."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping

from edge_lpr.serve.output_settings import Target
from edge_lpr.serve.record import Match, PassageRecord
from edge_lpr.serve.settings import ListSettings

__all__ = ["SCHEMA", "Interest"]

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS queue_told (
        target TEXT NOT NULL, passage TEXT NOT NULL, PRIMARY KEY (target, passage)) WITHOUT ROWID""",
)
"""The open passages that an output which hears of some has heard of."""


class Interest:
    """What the outputs' settings and the lists say of who is told.

    Args:
        targets: The outputs by name.
        lists: The lists by name, for which outputs each one names.
    """

    def __init__(self, targets: Mapping[str, Target], lists: Mapping[str, ListSettings]) -> None:
        self._targets = targets
        self._named = {name: frozenset(one.outputs) for name, one in lists.items()}

    def outputs(self, tx: sqlite3.Connection, record: PassageRecord) -> Iterator[tuple[str, Target]]:
        """Gives the outputs that are told of a record.

        Args:
            tx: The transaction that keeps the record.
            record: The record.
        """
        for name, target in self._targets.items():
            if target.cameras and record.camera not in target.cameras:
                continue
            concerned = target.events == "all" or self._concerns(tx, name, target, record)
            if concerned and record.state in target.states:
                yield name, target

    def _concerns(self, tx: sqlite3.Connection, name: str, target: Target, record: PassageRecord) -> bool:
        """Whether a list has it told, or had: who was told of a plate hears how its passage goes on."""
        key = (name, record.id)
        matches = record.matches
        if target.events == "lists":
            matches = tuple(m for m in _counting(matches) if name in self._named.get(m.list, frozenset()))
        told = tx.execute("SELECT 1 FROM queue_told WHERE target = ? AND passage = ?", key).fetchone()
        if record.state == "end":
            tx.execute("DELETE FROM queue_told WHERE target = ? AND passage = ?", key)
        elif matches and told is None:
            tx.execute("INSERT INTO queue_told VALUES (?, ?)", key)
        return told is not None or bool(matches)


def _counting(matches: tuple[Match, ...]) -> tuple[Match, ...]:
    """Returns the matches whose lists have outputs told: none lets in what one before it keeps out."""
    denied = next((n for n, one in enumerate(matches) if one.action == "deny"), len(matches))
    return tuple(one for n, one in enumerate(matches) if n < denied or one.action != "allow")
