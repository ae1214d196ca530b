"""The configuration: a TOML file, read into one declared schema, and all that is wrong with it by line."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge_lpr.errors import ConfigError, InputError, one_line
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.masking import remember, remember_receiver, remember_secret
from edge_lpr.serve import toml_lines
from edge_lpr.serve.config_checks import check
from edge_lpr.serve.config_errors import Problem, dotted, is_receiver, is_secret, is_source, problems_of
from edge_lpr.serve.config_paths import with_paths
from edge_lpr.serve.settings import ServeSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Config", "load_config"]

_MOST_BYTES = 16 << 20
_DEEPEST = 16  # tables and lists in one another; what is declared has six
_LARGEST = 2**63
_VARIABLE = re.compile(r"\$(\$|)\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WHERE = re.compile(r"\s*\(at line (\d+), column \d+\)$|\s*\(at end of document\)$")


@dataclass(frozen=True)
class Config:
    """A configuration that can be used.

    Attributes:
        path: The file.
        settings: What it says; all paths in it are absolute.
    """

    path: Path
    settings: ServeSettings


def load_config(path: str | Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Reads and checks a configuration.

    Args:
        path: The file.
        environment: What `${VARIABLE}` is looked up in.

    Raises:
        ConfigError: Something is wrong with it.
        InputError: It cannot be read.
    """
    path = Path(path)
    text = _text(path)
    data = _parsed(path, text)
    lines = toml_lines.key_lines(text)
    problems: list[Problem] = []
    data = _filled(data, (), environment, problems)
    _remember(data, ())
    settings: ServeSettings | None = None
    try:
        settings = ServeSettings.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as e:
        errors = e.errors(include_url=False, include_input=False)
        known = {problem.place for problem in problems}
        problems += [problem for problem in problems_of(errors, data) if problem.place not in known]
    if settings is not None and not problems:
        settings = with_paths(settings, path.absolute().parent)
        try:
            problems += check(settings)
        except OSError as e:  # a name that no file can have, as it is too long
            raise ConfigError([f"{path}:1: {one_line(e)}"]) from e
    if problems or settings is None:
        found = sorted({(_line(p.place, lines), f"{dotted(p.place)}: {p.text}") for p in problems})
        raise ConfigError([f"{path}:{line}: {text}" for line, text in found])
    return Config(path, settings)


def _text(path: Path) -> str:
    missing = f"{path}: no such file; edge-lpr serve --example prints one to begin with"
    data = read_bounded(path, _MOST_BYTES, "a configuration", InputError, missing=missing)
    try:
        # TOML's lines end so everywhere, and so do those that are counted.
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as e:
        line = data[: e.start].count(b"\n") + 1
        raise ConfigError([f"{path}:{line}: not UTF-8 (byte {e.start}); save it as UTF-8"]) from e


def _parsed(path: Path, text: str) -> dict[str, Any]:
    if line := toml_lines.long_key_line(text):
        most = toml_lines.MOST_PARTS
        raise ConfigError(
            [f"{path}:{line}: a key of more than {most} names with dots between, expected a few"]
        )
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        where = _WHERE.search(str(e))
        line = int(where[1]) if where is not None and where[1] else text.count("\n") + 1
        raise ConfigError([f"{path}:{line}: not TOML: {_WHERE.sub('', str(e))}"]) from e
    except (RecursionError, ValueError) as e:  # nested too deep, or a number of thousands of digits
        raise ConfigError([f"{path}:1: not a configuration: nested too deep, or a number too long"]) from e


def _filled(
    value: Any,  # noqa: ANN401 - whatever TOML has
    place: toml_lines.Path,
    environment: Mapping[str, str],
    problems: list[Problem],
) -> Any:  # noqa: ANN401
    """Puts in the variables of all texts, and writes days and times as texts."""
    if (unfit := _unfit(value, place)) is not None:
        problems.append(unfit)
        return None
    if isinstance(value, dict):
        return {k: _filled(v, (*place, k), environment, problems) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(v, (*place, n), environment, problems) for n, v in enumerate(value)]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if not isinstance(value, str):
        return value

    def found(match: re.Match[str]) -> str:
        if match[1]:  # $${NAME} is ${NAME} itself
            return "${" + match[2] + "}"
        text = environment.get(match[2], "")
        if not text:
            problems.append(
                Problem(place, f"the variable {match[2]} is not set, or empty; export it, or in a "
                "service unit set it by EnvironmentFile=")
            )  # fmt: skip
        remember_secret(text)
        return text

    return _VARIABLE.sub(found, value)


def _unfit(value: Any, place: toml_lines.Path) -> Problem | None:  # noqa: ANN401 - whatever TOML has
    """Returns what is wrong with what TOML allows, and all that comes after would fail at."""
    if len(place) > _DEEPEST:
        return Problem(place[:3], f"nested deeper than {_DEEPEST} levels")
    if isinstance(value, int) and abs(value) >= _LARGEST:
        return Problem(place, "a number that is too large")
    if isinstance(value, str) and "\0" in value:
        return Problem(place, r"has the character \u0000 in it")
    return None


def _remember(data: Any, place: toml_lines.Path) -> None:  # noqa: ANN401 - whatever TOML has
    """Has no secret of the file be printed from here on."""
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            _remember(value, (*place, key))
        return
    if isinstance(data, str) and is_secret(place):
        remember_secret(data)
    elif isinstance(data, str) and is_source(place):
        remember(data)
    elif isinstance(data, str) and is_receiver(place):
        remember_receiver(data)


def _line(place: toml_lines.Path, lines: Mapping[toml_lines.Path, int]) -> int:
    """Returns the line of a place; of what is missing, that of what it is missing in."""
    for part in _upwards(place):
        within = [line for one, line in lines.items() if one[: len(part)] == part]
        if within:
            return min(within)
    return 1


def _upwards(place: toml_lines.Path) -> Iterator[toml_lines.Path]:
    for n in range(len(place), 0, -1):
        yield place[:n]
