"""What waits in a queue, and how it goes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

__all__ = ["Counts", "DeliveryError", "Item"]


@dataclass(frozen=True)
class Item:
    """One record that waits for one output.

    Attributes:
        number: Its place; grows.
        target: The output's name.
        id: The passage's id.
        revision: The record's revision.
        body: `PassageRecord.to_dict()`, as JSON.
        queued: When, in seconds of the epoch.
    """

    number: int
    target: str
    id: str
    revision: int
    body: str
    queued: float

    @cached_property
    def record(self) -> dict[str, Any]:
        """The record's values, as `PassageRecord.to_dict` has them."""
        found: dict[str, Any] = json.loads(self.body)
        return found


class DeliveryError(Exception):
    """A delivery failed.

    Args:
        reason: Why, in one line.
        whole: The receiver takes nothing now, whatever it is; else it is this event that it does not take.
        after: Seconds that the receiver wants to be left alone; 0 where it does not say.
        final: It will never take this event.
    """

    def __init__(self, reason: str, *, whole: bool = True, after: float = 0.0, final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.whole = whole
        self.after = after
        self.final = final


@dataclass(frozen=True)
class Counts:
    """What became of an output's events.

    Attributes:
        waiting: Queued now.
        delivered: Taken by the receiver.
        dropped: Oldest ones that a full queue had no room for.
        given_up: Those that the receiver refused, or did not take within `keep_trying`.
        failing: Why the last try failed; "" where it did not.
    """

    waiting: int = 0
    delivered: int = 0
    dropped: int = 0
    given_up: int = 0
    failing: str = ""
