"""The kinds of plate: each registers itself, those of the package when this module is imported.

A further kind is a file in `edge_lpr/plates/kinds/`, or a call of `register` in one's own code before a
reader is made or a plate is drawn.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from edge_lpr.errors import SettingError
from edge_lpr.plates.kind import PlateKind

_KINDS: dict[str, PlateKind] = {}


def register(kind: PlateKind) -> PlateKind:
    """Adds a kind of plate to what is read and rendered.

    Returns:
        The kind itself.

    Raises:
        SettingError: There is a kind of this name, or one with a format of the same name and other positions.
    """
    if kind.name in _KINDS:
        raise SettingError(f"plate kind {kind.name!r} is registered twice; give the second another name")
    for name, positions in kind.formats.items():
        for other in _KINDS.values():
            if other.formats.get(name, positions) != positions:
                raise SettingError(
                    f"plate kind {kind.name!r}: format {name!r} has other positions than in {other.name!r}; "
                    "give it another name"
                )
    _KINDS[kind.name] = kind
    return kind


def registered_kinds() -> tuple[PlateKind, ...]:
    """Returns all kinds, by their rank."""
    return tuple(sorted(_KINDS.values(), key=lambda kind: kind.rank))


def plate_kind(name: str) -> PlateKind:
    """Returns the kind of a name.

    Raises:
        SettingError: There is none.
    """
    try:
        return _KINDS[name]
    except KeyError as e:
        raise SettingError(f"{name!r} is no kind of plate, expected one of {', '.join(plate_kinds())}") from e


def plate_kinds() -> tuple[str, ...]:
    """Returns the names of all kinds of plate, "blue" first."""
    return tuple(kind.name for kind in registered_kinds())


def _discover() -> None:
    package = import_module("edge_lpr.plates.kinds")
    for module in pkgutil.iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")


_discover()
