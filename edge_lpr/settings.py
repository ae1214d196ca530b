"""Settings that are declared once: default, range and help stand at the field; checks and options follow.

A class of settings is a frozen dataclass whose fields are made by `setting`::

    @dataclass(frozen=True)
    class TrackSettings(Settings):
        min_iou: float = setting(0.15, "boxes that overlap this much are one plate", low=0, high=1)

Making one with a value out of its range is a `SettingError`; `add_options` gives the command an option for
each field, and `given` takes those back that were used.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Any, TypeVar

from edge_lpr.errors import SettingError, shown

__all__ = ["Rule", "Settings", "add_options", "given", "setting", "whole_setting"]

T = TypeVar("T", bound="Settings")


@dataclass(frozen=True)
class Rule:
    """What a setting may be.

    Attributes:
        help: What it does, for --help.
        low: Its least value; None where there is none.
        high: Its largest value; None where there is none.
        whole: Whether it is an integer.
        choices: The texts that it may be; empty for a number.
        metavar: What --help calls its value.
        optional: Whether it may be None, which the help explains.
        endless: Whether it may be infinite, which the command calls "forever".
    """

    help: str
    low: float | None = None
    high: float | None = None
    whole: bool = False
    choices: tuple[str, ...] = ()
    metavar: str = ""
    optional: bool = False
    endless: bool = False

    def expected(self) -> str:
        """Says what it may be, as the end of a sentence."""
        if self.choices:
            return f"expected {' or '.join(self.choices)}"
        kind = "must be an integer" if self.whole else "expected a number"
        low, high = (
            None if v is None else f"{v:g}" if v < 1e6 else f"{v:,.0f}" for v in (self.low, self.high)
        )
        if low is not None and high is not None:
            return f"{kind} from {low} to {high}"
        if low is not None:
            return f"{kind} ≥ {low}"
        return f"{kind} ≤ {high}" if high is not None else kind

    def holds(self, value: object) -> bool:
        """Tells whether a value is allowed."""
        if value is None:
            return self.optional
        if self.choices:
            return value in self.choices
        if isinstance(value, bool) or not isinstance(value, Integral if self.whole else Real):
            return False
        try:
            number = float(value)
        except OverflowError:
            return False
        if math.isinf(number) and not self.endless:
            return False
        return (
            not math.isnan(number)
            and (self.low is None or number >= self.low)
            and (self.high is None or number <= self.high)
        )

    def parse(self, text: str) -> Any:  # noqa: ANN401 - of the setting's own type
        """Reads the value of an option.

        Raises:
            argparse.ArgumentTypeError: It is not allowed.
        """
        value: Any
        if self.choices:
            value = text
        else:
            try:
                if text == "forever":
                    value = math.inf
                elif "_" in text or text != text.strip():  # Python's own notation, nobody's on a command line
                    value = math.nan
                else:
                    value = int(text) if self.whole else float(text)
            except ValueError:
                value = math.nan
        if not self.holds(value):
            raise argparse.ArgumentTypeError(f"{text!r}, {self.expected()}")
        return value


def setting(
    default: Any,  # noqa: ANN401 - of the field's own type
    help: str,  # noqa: A002 - as argparse calls it
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    metavar: str = "",
) -> Any:  # noqa: ANN401
    """Declares a field of a `Settings` class.

    Args:
        default: Its default; None is allowed where it is the default. An integer makes it one.
        help: What it does, for --help.
        low: Its least value.
        high: Its largest value.
        choices: The texts that it may be, for a text.
        metavar: What --help calls its value; N or X where not given.
    """
    whole = isinstance(default, int) and not isinstance(default, bool)
    rule = Rule(help, low, high, whole, tuple(choices), metavar, default is None, default == math.inf)
    return field(default=default, metadata={"rule": rule})


def whole_setting(
    default: int | None,
    help: str,  # noqa: A002 - as argparse calls it
    *,
    low: int | None = None,
    high: int | None = None,
    metavar: str = "N",
) -> Any:  # noqa: ANN401
    """Declares an integer that may be None by default; see `setting`."""
    return field(
        default=default, metadata={"rule": Rule(help, low, high, True, (), metavar, default is None)}
    )


@dataclass(frozen=True)
class Settings:
    """Base of all settings that are declared once.

    Raises:
        SettingError: A value is out of its range.
    """

    def __post_init__(self) -> None:
        for one in fields(self):
            rule, value = _rule(one), getattr(self, one.name)
            if rule is None:
                continue
            if isinstance(one.default, bool):
                if not isinstance(value, bool):
                    raise SettingError(f"{one.name} is {shown(value)}, expected true or false")
            elif not rule.holds(value):
                raise SettingError(f"{one.name} is {shown(value)}, {rule.expected()}")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Returns the names of all fields."""
        return tuple(one.name for one in fields(cls))

    def changed(self: T, changes: Mapping[str, object]) -> T:
        """Returns these settings with others in place of some.

        Raises:
            SettingError: A name is not a setting, or a value is out of its range.
        """
        unknown = sorted(set(changes) - set(self.names()))
        if unknown:
            raise SettingError(f"no setting {shown(unknown[0])}; there are {', '.join(self.names())}")
        return replace(self, **dict[str, Any](changes))


def add_options(
    add: Callable[..., Any],
    kind: type[Settings],
    names: Sequence[str] | None = None,
    *,
    show_default: bool = True,
) -> None:
    """Gives a command an option for each field of a class of settings; `given` takes their values back.

    Args:
        add: `add_argument` of a parser or group.
        kind: The class of settings.
        names: The fields; None for all.
        show_default: Whether the help ends in the default; not where it is a bundle's.
    """
    for one in fields(kind):
        rule = _rule(one)
        if rule is None or (names is not None and one.name not in names):
            continue
        option = "--" + one.name.replace("_", "-")
        if isinstance(one.default, bool):
            add(option, action="store_true", default=None, help=rule.help)
            continue
        metavar = rule.metavar or ("|".join(rule.choices) if rule.choices else "N" if rule.whole else "X")
        ending = f" (default {_shown(one.default)})" if show_default and one.default is not None else ""
        add(option, type=rule.parse, default=None, metavar=metavar, help=rule.help + ending)


def given(
    args: argparse.Namespace, kind: type[Settings], names: Sequence[str] | None = None
) -> dict[str, Any]:
    """Returns the settings that options were given for, by name."""
    wanted = kind.names() if names is None else names
    return {name: value for name in wanted if (value := getattr(args, name, None)) is not None}


def _rule(one: Field[Any]) -> Rule | None:
    rule: Rule | None = one.metadata.get("rule")
    return rule


def _shown(value: object) -> object:
    if value == math.inf:
        return "forever"
    return f"{value:g}" if isinstance(value, float) else value
