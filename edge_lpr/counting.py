"""Counted nouns, as lines for people have them: "1 plate", "3 plates"."""

from __future__ import annotations

__all__ = ["counted"]


def counted(value: object, names: str, one: str = "") -> str:
    """Writes a number and what it is of.

    Args:
        value: The number; a text is taken as it was written, "1" as one.
        names: What is counted, in the plural; "" for nothing.
        one: A single one of it, where that is not `names` without its s ("boxes": "box").

    Returns:
        "3 plates", "1 plate"; what does not end in s stays as it is: "1 dropped".
    """
    name = (one or names.removesuffix("s")) if str(value) == "1" else names
    return f"{value} {name}".strip()
