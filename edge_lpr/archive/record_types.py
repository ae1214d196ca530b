"""What was written down as JSON and is read again: of the types that its record says, or damaged."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, get_origin, get_type_hints

from edge_lpr.errors import shown

__all__ = ["check_types"]


def check_types(record: object) -> None:
    """Sees that the values of a dataclass are of the types that it says, those in lists and objects aside.

    Raises:
        TypeError: One is not.
    """
    itself: Any = type(record)
    for name, kind in _types(itself):
        value = getattr(record, name)
        if not isinstance(value, kind):
            raise TypeError(f"{name} is {shown(value)}")


@lru_cache(maxsize=16)
def _types(record: Any) -> tuple[tuple[str, Any], ...]:  # noqa: ANN401 - a class
    found = []
    for name, kind in get_type_hints(record).items():
        origin = get_origin(kind)
        whole = float | int if kind is float else kind
        found.append((name, origin if origin in (tuple, Mapping) else whole))
    return tuple(found)
