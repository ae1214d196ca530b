"""Parameters of requests: declared once, read by it, and described to programs by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from edge_lpr.errors import shown
from edge_lpr.serve.web.problems import Problem

__all__ = ["Parameter", "read_parameters"]

_WORDS = {
    "1": True,
    "true": True,
    "on": True,
    "yes": True,
    "0": False,
    "false": False,
    "off": False,
    "no": False,
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a request.

    Attributes:
        name: Its name.
        about: What it is, for people.
        type: What it is made of.
        choices: What it may be, if anything else is wrong.
        least: The lowest integer.
        most: The highest integer, or the longest text.
        default: What it is where it is not given.
        place: Where it stands.
    """

    name: str
    about: str
    type: Literal["string", "integer", "boolean", "time"] = "string"
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 200
    default: Any = None
    place: Literal["query", "path"] = "query"

    def read(self, text: str) -> Any:  # noqa: ANN401 (of its type)
        """Reads it.

        Args:
            text: As it stands in the request.

        Returns:
            str, int, bool, or a time in seconds since the epoch.

        Raises:
            Problem: It is not as it should be.
        """
        if self.type == "integer":
            if text.isascii() and text.isdigit() and len(text) < 20 and self.least <= int(text) <= self.most:
                return int(text)
            raise self._wrong(text, f"an integer from {self.least} to {self.most}")
        if self.type == "boolean":
            if text.lower() in _WORDS:
                return _WORDS[text.lower()]
            raise self._wrong(text, "true or false")
        if self.type == "time":
            try:
                # Without an offset it is of this machine's clock, as what a page's field gives.
                return datetime.fromisoformat(_with_offset(text)).timestamp()
            except (ValueError, OverflowError, OSError):
                raise self._wrong(text, "a time as 2026-11-27T07:00, or with an offset, +08:00") from None
        if self.choices and text not in self.choices:
            raise self._wrong(text, f"one of {', '.join(self.choices)}")
        if len(text) > self.most:
            raise self._wrong(text, f"{self.most} characters at most")
        return text

    def describe(self) -> dict[str, Any]:
        """Returns it as OpenAPI 3.1 has it."""
        schema: dict[str, Any] = {"type": "string" if self.type == "time" else self.type}
        if self.type == "integer":
            schema |= {"minimum": self.least, "maximum": self.most}
        elif self.choices:
            schema["enum"] = list(self.choices)
        elif self.type == "string":
            schema["maxLength"] = self.most
        if self.default is not None:
            schema["default"] = self.default
        return {
            "name": self.name,
            "in": self.place,
            "description": self.about,
            "required": self.place == "path",
            "schema": schema,
        }

    def _wrong(self, text: str, expected: str) -> Problem:
        return Problem(400, f"{self.name} is {shown(text)}, expected {expected}", field=self.name)


def read_parameters(
    known: Iterable[Parameter], given: Iterable[tuple[str, str]], path: Mapping[str, str]
) -> dict[str, Any]:
    """Reads the parameters of a request.

    Args:
        known: Those that there are.
        given: Names and values of the query, in its order.
        path: Those of the path.

    Returns:
        Their values by name; of those that are missing, or empty as a form's fields are, the defaults.

    Raises:
        Problem: One is unknown, stands twice, or is not as it should be.
    """
    by_name = {parameter.name: parameter for parameter in known}
    values = {name: parameter.default for name, parameter in by_name.items()}
    seen: set[str] = set()
    for name, text in [*given, *path.items()]:
        if name not in by_name:
            raise Problem(
                400,
                f"no parameter is called {shown(name)}, expected {', '.join(by_name) or 'none'}",
                field=name[:80],
            )
        if name in seen:
            raise Problem(400, f"{name} stands there twice", field=name)
        seen.add(name)
        if text.strip():
            values[name] = by_name[name].read(text.strip())
    return values


def _with_offset(text: str) -> str:
    """Writes a time as Python 3.10 reads it; "+" of an offset is a blank where a query did not encode it."""
    return text.replace("Z", "+00:00").replace(" ", "+" if "T" in text else " ")
