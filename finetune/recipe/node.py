"""A section of a training's YAML as its reader sees it: each key is asked for, checked, and remembered.

What was asked for decides the result; what has no effect here is told in one line; what nobody asked for is
an error, since it may change what PaddleOCR does, or was meant to be another key.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from edge_lpr.errors import SettingError, shown

__all__ = ["Node", "Told", "operators"]

Choice = TypeVar("Choice", bound=str)


@dataclass
class Told:
    """What the readers of a document have learnt.

    Attributes:
        effective: Every value that has an effect, defaults included, by keys joined by dots.
        idle: Keys that stand in the document and have no effect.
    """

    effective: dict[str, Any] = field(default_factory=dict)
    idle: list[str] = field(default_factory=list)


class Node:
    """A mapping of a document.

    Args:
        values: The mapping; None for a section that is missing or empty.
        path: Its keys joined by dots; empty for the whole document.
        told: Where what was read is remembered.
    """

    def __init__(self, values: object, path: str, told: Told) -> None:
        if values is not None and not isinstance(values, Mapping):
            raise SettingError(f"{path} is {shown(values)}, expected a section with keys of its own")
        self.values: dict[str, Any] = {} if values is None else {str(k): v for k, v in values.items()}
        self.path, self.told = path, told
        self._asked: set[str] = set()

    def key(self, name: str) -> str:
        """Returns a key of this section as it is written from the top."""
        return f"{self.path}.{name}" if self.path else name

    def raw(self, name: str, default: Any = None, *, remember: bool = True) -> Any:  # noqa: ANN401
        """Returns a value as it stands; one that is missing or null is the default."""
        self._asked.add(name)
        value = self.values.get(name)
        value = default if value is None else value
        if remember:
            self.told.effective[self.key(name)] = value
        return value

    def refuse(self, name: str, value: object, instead: str) -> NoReturn:
        """Ends the reading: a value is not supported.

        Raises:
            SettingError: Always; names the key, the value and what can be done instead.
        """
        raise SettingError(f"{self.key(name)} is {shown(value)}, {instead}")

    def number(self, name: str, default: float, *, low: float = -math.inf, high: float = math.inf) -> float:
        """Returns a number within a range; one that YAML takes for text (1e-3, 1./255.) is a number too."""
        value = _number(self.raw(name, default))
        if value is None or not low <= value <= high:
            self.refuse(name, self.values.get(name), f"expected a number{_range(low, high)}")
        self.told.effective[self.key(name)] = value
        return value

    def whole(self, name: str, default: int, *, low: int, high: int = 2**31 - 1) -> int:
        """Returns an integer within a range."""
        value = self.raw(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.refuse(name, value, f"expected an integer{_range(low, high)}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Returns true or false."""
        value = self.raw(name, default)
        if not isinstance(value, bool):
            self.refuse(name, value, "expected true or false")
        return value

    def text(self, name: str, default: str | None = None, *, remember: bool = True) -> str | None:
        """Returns a text, or None where there is none."""
        value = self.raw(name, default, remember=remember)
        if value is not None and not isinstance(value, str):
            self.refuse(name, value, "expected a text")
        return value

    def choice(self, name: str, default: Choice, choices: Sequence[Choice], instead: str = "") -> Choice:
        """Returns one of several texts.

        Args:
            name: The key.
            default: What stands for a missing one.
            choices: What is supported.
            instead: What to do about another one, where choosing among these is not the answer.
        """
        value = self.raw(name, default)
        if value not in choices:
            close = difflib.get_close_matches(str(value), choices, 1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            self.refuse(name, value, instead or f"supported: {', '.join(choices)}{hint}")
        return value  # type: ignore[no-any-return]

    def only(self, name: str, value: object, instead: str = "") -> None:
        """Sees that a key is missing, or is what is done here anyway."""
        found = self.raw(name, value, remember=False)
        same = found == value or (isinstance(value, float) and _number(found) == value)
        if not same or isinstance(found, bool) != isinstance(value, bool):
            self.refuse(name, found, instead or f"expected {shown(value)}")

    def numbers(self, name: str, default: Sequence[float], count: int | None = None) -> list[float]:
        """Returns a list of numbers, of a given length where one is given."""
        value = self.raw(name, list(default))
        found = [_number(v) for v in value] if isinstance(value, list) else [None]
        if None in found or (count is not None and len(found) != count):
            self.refuse(name, value, f"expected a list of {count or ''} numbers".replace("  ", " "))
        return [v for v in found if v is not None]

    def texts(self, name: str, *, remember: bool = True) -> list[str]:
        """Returns a list of texts; a single one is a list of it."""
        value = self.raw(name, [], remember=remember)
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            self.refuse(name, value, "expected a list of texts")
        return list(value)

    def child(self, name: str) -> Node:
        """Returns a section; one that is missing has no keys."""
        self._asked.add(name)
        return Node(self.values.get(name), self.key(name), self.told)

    def has(self, name: str) -> bool:
        """Tells whether a key is there and not null."""
        return self.values.get(name) is not None

    def idle(self, *names: str) -> None:
        """Takes keys that have no effect here."""
        for name in names:
            if name in self.values and name not in self._asked:
                self._asked.add(name)
                self.told.idle.append(self.key(name))

    def rest_is_idle(self) -> None:
        """Takes all other keys as without effect here."""
        self.idle(*self.values)

    def close(self, instead: str = "") -> None:
        """Sees that every key was asked for.

        Args:
            instead: What to do about another key, beside taking it out.

        Raises:
            SettingError: One was not; it is named, and those that there are.
        """
        for name in self.values:
            if name not in self._asked:
                close = difflib.get_close_matches(name, self._asked, 1)
                hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(self._asked))}"
                raise SettingError(
                    f"{self.key(name)} ({shown(self.values[name])}) is not supported; "
                    f"{instead or 'take it out'} ({hint})"
                )


def operators(node: Node, name: str) -> Iterator[tuple[str, Node]]:
    """Gives the operators of a list in their order, by name and with their settings.

    Args:
        node: The section that holds the list.
        name: Its key.

    Raises:
        SettingError: It is no list of mappings with one key each.
    """
    items = node.raw(name, [], remember=False)
    if not isinstance(items, list):
        node.refuse(name, items, "expected a list of operators")
    for item in items:
        if not isinstance(item, Mapping) or len(item) != 1:
            node.refuse(name, item, "expected a list whose items have one key, an operator's name")
        ((operator, values),) = item.items()
        yield str(operator), Node(values, f"{node.key(name)}.{operator}", node.told)


def _number(value: object) -> float | None:
    """Reads a number as PaddleOCR's readers do: YAML takes 1e-3 for text, and 1./255. is one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        over, bar, under = value.partition("/")
        try:
            value = float(over) / float(under) if bar else float(over)
        except (ValueError, ZeroDivisionError):
            return None
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _range(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(high) or high == 2**31 - 1:
        return f" ≥ {low:g}"
    return f" from {low:g} to {high:g}"
