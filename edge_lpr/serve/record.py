"""What the service tells of a passage: the same in the database, on the page and in every output."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["RECORD_VERSION", "Action", "Direction", "How", "Match", "PassageRecord", "State"]

RECORD_VERSION = 1
"""Grows when the meaning of a field changes."""
State = Literal["new", "update", "end"]
Direction = Literal["", "in", "out"]
Action = Literal["allow", "deny", "watch"]
How = Literal["exact", "lookalike", "doubtful", "candidate", "pattern"]


@dataclass(frozen=True)
class Match:
    """Why a list matched.

    Attributes:
        list: The list's name.
        action: "allow", "deny" or "watch".
        name: Whose plate it is, as the list says.
        plate: The plate or pattern of the list.
        how: "exact", "lookalike", "doubtful", "candidate" or "pattern".
    """

    list: str
    action: Action
    name: str
    plate: str
    how: How


@dataclass(frozen=True)
class PassageRecord:
    """One vehicle's passage as far as it is known.

    Attributes:
        id: The same in all that is told of the passage, and of no other one.
        camera: The camera's name.
        state: "new", "update" or "end".
        revision: 1 for the first that is told of a passage, then one more each time.
        text: The plate's characters.
        kind: The kind of plate.
        score: Mean of `char_scores`, 0 to 1.
        min_score: The lowest of `char_scores`.
        char_scores: Probability of each character, 0 to 1.
        candidates: Other texts with the probability of each.
        reads: Frames in which it was read.
        first_utc: When it was first read, ISO 8601 UTC.
        last_utc: When it was last read.
        direction: "in", "out" or "" where it is not known (yet).
        site: The camera's site.
        role: The camera's role.
        matches: Lists that match, the one that counts first.
        corners: The plate's corners in the frame, 4 × [x, y] in pixels of the frame as it is read.
        crop: The plate's picture, relative to the folder of pictures; "" for none.
        frame: The whole frame's.
    """

    id: str
    camera: str
    state: State
    revision: int
    text: str
    kind: str
    score: float
    min_score: float
    char_scores: tuple[float, ...]
    reads: int
    first_utc: str
    last_utc: str
    direction: Direction = ""
    site: str = ""
    role: str = ""
    candidates: tuple[tuple[str, float], ...] = ()
    matches: tuple[Match, ...] = ()
    corners: tuple[tuple[float, float], ...] = field(default=())
    crop: str = ""
    frame: str = ""

    @property
    def action(self) -> str:
        """What the list that counts says; "" where none matches."""
        return self.matches[0].action if self.matches else ""

    def to_dict(self) -> dict[str, Any]:
        """Returns it as outputs send it: plain values in a fixed order, with `version` and `action`."""
        return {"version": RECORD_VERSION, **asdict(self), "action": self.action}
