"""Records as the service makes them, for tests of what becomes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edge_lpr.serve.record import Match, PassageRecord

RECORD = PassageRecord(
    id="a",
    camera="gate",
    state="new",
    revision=1,
    text="粤B12345",
    kind="blue",
    score=0.99,
    min_score=0.97,
    char_scores=(0.99,) * 7,
    reads=3,
    first_utc="2026-11-27T03:00:00.000Z",
    last_utc="2026-11-27T03:00:01.000Z",
    direction="in",
    candidates=(("粤B12345", 0.99), ("粤B1234S", 0.01)),
    corners=((10.0, 20.0), (110.0, 20.0), (110.0, 50.0), (10.0, 50.0)),
)


def record(name: str = "a", revision: int = 1, **changes: Any) -> PassageRecord:
    """A record with other values; its state follows from its revision: 1 new, 2 update, 3 end."""
    state = {1: "new", 2: "update"}.get(revision, "end")
    return replace(RECORD, **{"id": name, "revision": revision, "state": state, **changes})


def match(name: str = "staff", action: Any = "allow") -> Match:
    """Why a list matched."""
    return Match(list=name, action=action, name="An", plate="粤B12345", how="exact")
