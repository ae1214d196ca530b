"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Check"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        group: Which part of the machine.
        name: What was looked at.
        state: "ok", "missing" (an option that is not there), "left over" (what a killed run did not complete)
            or "broken" (plates cannot be read like this).
        found: What was found.
        advice: What to do about it; empty where there is nothing to do.
    """

    group: str
    name: str
    state: str
    found: str
    advice: str = ""
