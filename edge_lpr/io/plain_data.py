"""JSON that somebody else wrote: plain values, bounded in their nesting and in their numbers.

A number of 400 digits is no float, text that is no Unicode cannot be written again, and what nests a thousand
deep ends whoever walks through it; each is refused here, so that nobody after has to think of it.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

__all__ = ["CONTROL", "MAX_DEPTH", "check_plain", "escape_controls", "parse_json"]

MAX_DEPTH = 64
"""Most levels of lists and objects in each other; a bundle has seven."""
# Control codes C0 and C1, ends of lines and paragraphs, and the marks that reorder a line (Unicode TR 36).
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What would drive a terminal, or mislead who reads there."""
_MAX_DIGITS = 19
_MAX_INTEGER = 2**63
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


def parse_json(data: bytes | str, label: str, error: type[Exception], *, remedy: str = "") -> Any:  # noqa: ANN401
    """Parses a JSON file's content.

    Args:
        data: The file's bytes, UTF-8, or its text.
        label: What messages call it.
        error: What is raised, made of one line.
        remedy: What to do about a file that is none, as the end of the line.

    Returns:
        Objects, lists, texts, numbers, true, false and null, in each other at most `MAX_DEPTH` levels deep;
        integers of 64 bits, finite floats.

    Raises:
        Exception: An `error`: it is no JSON, or beyond those bounds.
    """
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        value = json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=_refuse)
        check_plain(value)
    except json.JSONDecodeError as e:
        reason = f"{e.msg} at line {e.lineno}, column {e.colno}"
    except UnicodeDecodeError as e:
        reason = f"no UTF-8 text at byte {e.start}"
    except RecursionError:
        reason = f"more than {MAX_DEPTH} levels in each other"
    except ValueError as e:
        reason = str(e)
    else:
        return value
    raise error(f"{label}: not valid JSON ({reason}){remedy}")


def escape_controls(text: str) -> str:
    """Returns JSON without control characters but line ends: the same values, for a terminal's eyes too."""
    return CONTROL.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def check_plain(value: object) -> None:
    """Checks that parsed values are within the bounds of `parse_json`, whatever file they come from.

    Raises:
        ValueError: They are not; says what was found.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.keys()
                inner += item.values()
            elif isinstance(item, list):
                inner += item
            else:
                _check_scalar(item)
        level = inner
    if any(isinstance(item, (dict, list)) for item in level):
        raise ValueError(f"more than {MAX_DEPTH} levels in each other")
    for item in level:
        _check_scalar(item)


def _check_scalar(value: object) -> None:
    if isinstance(value, int):
        if not -_MAX_INTEGER <= value < _MAX_INTEGER:
            raise ValueError("an integer of more than 64 bits")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value}, which is no finite number")
    elif isinstance(value, str) and not value.isascii() and _HALF_CHARACTER.search(value):
        raise ValueError(f"half a character in {value[:20]!r}")


def _integer(text: str) -> int:
    digits = len(text.lstrip("-"))
    if digits > _MAX_DIGITS:  # Python takes time that grows with their square, and from 4,300 on refuses
        raise ValueError(f"an integer of {digits} digits")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"a number beyond what a float holds, {text[:20]}")
    return value


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
