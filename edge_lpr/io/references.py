"""What may stand in a source in place of its address: a name, variables, and files that hold it.

`gate=rtsp://admin:${GATE_PASSWORD}@10.0.0.5/1` has a name, which stands in every output, and keeps the
password out of the list of processes; `@/run/credentials/cameras` reads sources from a file, one a line.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from edge_lpr.addresses import is_address, is_pipeline, shown_source
from edge_lpr.errors import SourceError
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.masking import remember, remember_secret

__all__ = ["Reference", "reference_file", "resolve"]

# Letters of all scripts, so that a camera may be called 东门.
_NAMED = re.compile(r"(\w[\w.-]{0,63})=(?=\S)(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MAX_BYTES = 64 << 10


@dataclass(frozen=True)
class Reference:
    """A source as it was meant.

    Attributes:
        text: The address, pipeline, camera or path itself.
        name: What it is to be called; "" where it was given no name.
        shown: What messages call the source where it is not known what it is.
        indirect: Whether a variable or a file was put in: the text is then nobody's to see.
    """

    text: str = field(repr=False)
    name: str
    shown: str
    indirect: bool


def resolve(source: str) -> list[Reference]:
    """Puts in what names, variables and files stand for.

    Args:
        source: A source as the user typed it.

    Returns:
        One source; of a file with several lines, several.

    Raises:
        SourceError: A variable is not set, a file cannot be read or holds something else, or a name is given
            to several.
    """
    return _resolve(source)


def reference_file(source: str) -> Path | None:
    """Returns the file that a source is read from (``@FILE``, ``NAME=@FILE``); None where it is none.

    Args:
        source: A source as the user typed it, that `resolve` takes.
    """
    _, text = _split(source.strip())
    expanded = _VARIABLE.sub(lambda found: os.environ.get(found[1], ""), text)
    return Path(expanded[1:]).expanduser() if expanded.startswith("@") else None


def _resolve(source: str, line: str = "") -> list[Reference]:
    text = source.strip()
    name, text = _split(text)
    shown = line or name or shown_source(text)
    expanded = _VARIABLE.sub(lambda found: _value(found[1], shown), text)
    if expanded.startswith("@"):
        if line:
            raise SourceError(f"{shown}: a file of sources names no further one; give both to the command")
        found = _lines(Path(expanded[1:]).expanduser())
        if name and len(found) > 1:
            raise SourceError(f"{name}={text}: one name for {len(found)} sources; name each inside the file")
        return [Reference(one.text, name or one.name, one.shown, True) for one in found]
    indirect = expanded != text
    if indirect:
        for variable in _VARIABLE.findall(text):
            remember_secret(_value(variable, shown))
        remember(expanded)
    return [Reference(expanded, name, shown, indirect or bool(line))]


def _split(text: str) -> tuple[str, str]:
    """Splits a name off; only before what can be no part of a file's name that the user means."""
    found = _NAMED.fullmatch(text)
    if found is None:
        return "", text
    rest = found[2]
    camera = rest.isdecimal() or rest.startswith("/dev/")
    if camera or is_address(rest) or is_pipeline(rest) or rest[0] in "@$":
        return found[1], rest
    return "", text


def _value(name: str, shown: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise SourceError(
            f"{shown}: the variable {name} is not set, or empty; export it, or in a service "
            "unit set it by EnvironmentFile="
        )
    return value


def _lines(path: Path) -> list[Reference]:
    data = read_bounded(path, _MAX_BYTES, "a file of addresses", SourceError, label=f"@{path}")
    found: list[Reference] = []
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        where = f"@{path}, line {number}"
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        _, text = _split(line.strip())
        if not (is_address(text) or is_pipeline(text) or text.startswith("${")):
            raise SourceError(f"{where}: neither an address nor a pipeline, nor NAME= before one")
        remember(text)
        found += _resolve(line, where)
    if not found:
        raise SourceError(f"@{path}: no address in it; expected one a line")
    return found
