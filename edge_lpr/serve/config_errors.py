"""What is wrong with a configuration, a line for each thing: where, what was found, and what is expected."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from edge_lpr.addresses import HIDDEN, shown_receiver, shown_source
from edge_lpr.errors import shown
from edge_lpr.serve.output_settings import OUTPUT_TYPES
from edge_lpr.serve.settings import ServeSettings
from edge_lpr.serve.toml_lines import Path

__all__ = [
    "Problem",
    "dotted",
    "fields_at",
    "is_receiver",
    "is_secret",
    "is_source",
    "nearest",
    "problems_of",
    "shown_value",
]

_SECRET = ["password"], ["secret"], ["hash"]
_TYPES = {
    "string_type": "expected a text in quotes",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "finite_number": "expected a number that has an end",
    "bool_type": "expected true or false",
    "list_type": "expected a list in [ ]",
    "tuple_type": "expected a list in [ ]",
    "dict_type": "expected a table",
    "model_type": "expected a table",
    "model_attributes_type": "expected a table",
}
_NAME = "expected a name of letters, digits, - and _, 48 at most, that begins with a letter or digit"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        place: Where.
        text: What was found there and what is expected.
    """

    place: Path
    text: str


def dotted(place: Path) -> str:
    """Writes where something is: "cameras.gate.regions[0]"; "the file" for all of it."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"


def nearest(word: object, known: Sequence[str]) -> str:
    """Returns "; did you mean 'X'?" for a slip of one of the known names, and else which there are."""
    if close := get_close_matches(str(word), known, 1, 0.6):
        return f"; did you mean {close[0]!r}?"
    listed = ", ".join(known[:12])
    return f"; there {'are' if len(known) > 1 else 'is'} {listed}" if known else "; there is none"


def is_secret(place: Path) -> bool:
    """Tells whether what stands at a place is a password, or may hold one."""
    names = _names(place)
    return names[-1:] in _SECRET or "headers" in names[:-1]


def is_source(place: Path) -> bool:
    """Tells whether what stands at a place is a camera's address, which may have a password in it."""
    return _names(place)[-1:] == ["source"]


def is_receiver(place: Path) -> bool:
    """Tells whether what stands at a place is a webhook's address, of which the path is a password."""
    return _names(place)[-1:] == ["url"]


def _names(place: Path) -> list[str]:
    return [part for part in place if isinstance(part, str)]


def shown_value(place: Path, value: object) -> str:
    """Returns a value as a message shows it; none that is a secret, or may hold one."""
    if is_secret(place):
        return f"a value that is not shown ({HIDDEN})"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, str) and is_source(place):
        return shown(shown_source(value))
    if isinstance(value, str) and is_receiver(place):
        return shown(shown_receiver(value))
    if isinstance(value, bool):
        return str(value).lower()
    return shown(value, 60)


def problems_of(errors: Sequence[ErrorDetails], data: Mapping[str, Any]) -> Iterator[Problem]:
    """Words what pydantic found.

    Args:
        errors: Its errors, in its order.
        data: What was read.
    """
    told: set[Path] = set()
    for error in errors:
        place, value, tags = _find(error, data)
        # A plate may be a text or a table, and what is wrong is told of each: which was it meant to be?
        if isinstance(tags.get("str"), Mapping) or isinstance(tags.get("ListedPlate"), str) or place in told:
            continue
        told.add(place)
        text = _worded(error, place, value)
        if not isinstance(tags.get("ListedPlate", {}), Mapping):
            expected = "expected a plate in quotes, or a table with plate, name and until"
            text = f"{shown_value(place, value)}, {expected}"
        yield Problem(place, text)


def fields_at(place: Sequence[int | str], kind: Any = ServeSettings) -> dict[str, Any]:  # noqa: ANN401
    """Returns the keys that a table may have, with their fields; none where it may have any.

    Args:
        place: Where the table is, as pydantic says it: with the tags of what may be one of several.
        kind: What the whole is.
    """
    for part in place:
        kind = _step(kind, part)
    kind = _bare(kind)
    is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
    return dict(kind.model_fields) if is_model else {}


def _worded(error: ErrorDetails, place: Path, value: object) -> str:
    kind, limits = error["type"], error.get("ctx", {})
    siblings = fields_at(error["loc"][:-1])
    if kind == "extra_forbidden":
        return f"no such key{nearest(place[-1], list(siblings))}"
    if kind == "missing":
        field = siblings.get(str(place[-1]))
        return f"is missing{f': {field.description}' if field is not None and field.description else ''}"
    if kind.startswith("union_tag"):
        tag = value.get("type") if isinstance(value, Mapping) else None
        return f"type is {'missing' if tag is None else shown(tag, 40)}, {_one_of(tag, OUTPUT_TYPES)}"
    if error["loc"][-1] == "[key]":
        return _NAME
    match kind:
        case "literal_error":
            quoted = re.findall(r"'([^']*)'", limits["expected"])
            # Of numbers it is "0, 1 or 2", and nothing is nearly one of them.
            expected = _one_of(value, quoted) if quoted else f"expected {limits['expected']}"
        case "greater_than_equal":
            expected = f"expected {limits['ge']:g} or more"
        case "less_than_equal":
            expected = f"expected {limits['le']:g} or less"
        case "string_pattern_mismatch":
            is_name = str(limits["pattern"]).startswith("^[A-Za-z0-9]")
            expected = _NAME if is_name else "expected a topic without # and +"
        case "string_too_long" | "string_too_short" | "too_long" | "too_short":
            expected = f"expected {_length(kind, limits)}"
        case _:
            expected = _TYPES.get(kind, error["msg"])
    return f"{shown_value(place, value)}, {expected}"


def _one_of(value: object, choices: Sequence[str]) -> str:
    close = get_close_matches(str(value), choices, 1, 0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"expected {', '.join(map(repr, choices[:-1]))} or {choices[-1]!r}{hint}"


def _length(kind: str, limits: Mapping[str, Any]) -> str:
    what = "characters" if kind.startswith("string") else "items"
    if kind.endswith("long"):
        return f"{limits['max_length']} {what} at most"
    least = limits["min_length"]
    return "something" if least == 1 and what == "characters" else f"{least} {what} at least"


def _find(error: ErrorDetails, data: object) -> tuple[Path, object, dict[str, object]]:
    """Returns the place in the file that pydantic means, what is there, and what had which tag on the way."""
    place: Path = ()
    tags: dict[str, object] = {}
    loc = error["loc"]
    for n, part in enumerate(loc):
        in_list = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if in_list or (isinstance(data, Mapping) and part in data):
            data, place = data[part], (*place, part)  # type: ignore[index]
        elif part == "[key]":
            break
        elif error["type"] == "missing" and n == len(loc) - 1:
            place, data = (*place, part), None
        else:
            tags[str(part)] = data
    return place, data, tags


def _step(kind: Any, part: int | str) -> Any:  # noqa: ANN401 - of any annotation
    kind = _bare(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return field.annotation if field is not None else None
    if origin is dict:
        return arguments[1]
    if origin in (list, tuple):
        return arguments[0]
    if origin in (Union, types.UnionType):
        for one in map(_bare, arguments):
            name = getattr(one, "__name__", "")
            tag = one.model_fields.get("type") if hasattr(one, "model_fields") else None
            if name == part or (tag is not None and part in get_args(tag.annotation)):
                return one
    return None


def _bare(kind: Any) -> Any:  # noqa: ANN401 - of any annotation
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    choices = [one for one in get_args(kind) if one is not type(None)]
    if get_origin(kind) in (Union, types.UnionType) and len(choices) == 1:
        return _bare(choices[0])
    return kind if get_origin(kind) is not Literal else str
