"""The kinds of plate that are read and rendered.

A further kind is a file in `edge_lpr/plates/kinds/`, or a call of `register` in one's own code before a
reader is made or a plate is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable

from edge_lpr.errors import SettingError
from edge_lpr.plates.kind import PlateKind
from edge_lpr.registry import Registry

__all__ = ["KINDS", "plate_kinds", "register"]


def _one_meaning(kind: PlateKind, others: Iterable[PlateKind]) -> None:
    """Sees that the name of a format or a colour stands for the same in every kind."""
    others = list(others)
    for other in others:
        shown, before = kind.in_photos, other.in_photos
        if kind.colour == other.colour and None not in (shown, before) and shown != before:
            raise SettingError(
                f"plate kind {kind.name!r}: {kind.colour!r} shows otherwise in photos than that of "
                f"{other.name!r}; give it another name"
            )
    for name, positions in kind.formats.items():
        for other in others:
            if other.formats.get(name, positions) != positions:
                raise SettingError(
                    f"plate kind {kind.name!r}: format {name!r} has other positions than in {other.name!r}; "
                    "give it another name"
                )


KINDS: Registry[PlateKind] = Registry("plate kind", "edge_lpr.plates.kinds", _one_meaning)
"""Kinds by name, "blue" first."""
register = KINDS.register


def plate_kinds() -> tuple[str, ...]:
    """Returns the names of all kinds of plate, "blue" first."""
    return KINDS.names()
