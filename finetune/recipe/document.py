"""A training's YAML as a tree of plain values: read, changed by `-o KEY=VALUE`, compared, written.

PaddleOCR's command takes `-o Optimizer.lr.learning_rate=0.0005`. So does this one, and into lists as well: an
operator is reached by its name (`Train.dataset.transforms.EastRandomCropData.size=[640,640]`), any other item
by its number, and an operator that is set to `false` is taken out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from edge_lpr.errors import SettingError, shown
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.bounded_yaml import parse_yaml
from edge_lpr.types import Part

__all__ = [
    "Document",
    "change",
    "default_document",
    "differences",
    "override",
    "parse_document",
    "read_document",
    "write_document",
]

Document = dict[str, Any]
MAX_CONFIG_BYTES = 1 << 20


def parse_document(text: str | bytes, name: str) -> Document:
    """Parses a training's YAML.

    Args:
        text: The file's content.
        name: What messages call it.

    Raises:
        SettingError: It is no YAML, beyond the bounds of `parse_yaml`, or no mapping.
    """
    try:
        value = parse_yaml(text if isinstance(text, str) else text.decode("utf-8"))
    except UnicodeDecodeError as e:
        raise SettingError(f"{name}: not valid YAML (no UTF-8 text at byte {e.start})") from e
    except ValueError as e:
        raise SettingError(f"{name}: not valid YAML ({e})") from e
    if not isinstance(value, dict):
        kind = "nothing" if value is None else type(value).__name__
        raise SettingError(f"{name}: holds {kind}, expected sections such as Global and Optimizer")
    return value


def read_document(path: Path) -> Document:
    """Reads a training's YAML file.

    Raises:
        SettingError: It cannot be read, or see `parse_document`.
    """
    excess = "{size} bytes, a config has less than {limit}"
    return parse_document(
        read_bounded(path, MAX_CONFIG_BYTES, "a config", SettingError, excess=excess), str(path)
    )


def default_document(part: Part | str) -> Document:
    """Returns the recipe that ships for a part, `configs/PART.yml`."""
    text = (files("edge_lpr.finetune") / "configs" / f"{part}.yml").read_text(encoding="utf-8")
    return parse_document(text, f"configs/{part}.yml")


def write_document(document: Mapping[str, Any]) -> str:
    """Returns a document as YAML."""
    dumper = _Dumper
    return str(
        yaml.dump(
            document, Dumper=dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
        )
    )


class _Dumper(yaml.SafeDumper):
    """Writes no anchors: a list that stands twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401
        return True


def override(document: Document, given: Sequence[str]) -> None:
    """Changes a document as `-o` of the command does.

    Args:
        document: It is changed in place.
        given: `KEY=VALUE` each, keys joined by dots, the value in YAML.

    Raises:
        SettingError: One is written in another way, or leads nowhere.
    """
    for one in given:
        key, sign, text = one.partition("=")
        if not sign or not all(key.strip().split(".")):
            raise SettingError(
                f"-o {shown(one)}: expected KEY=VALUE, such as Optimizer.lr.learning_rate=0.0005"
            )
        try:
            value = parse_yaml(text)
        except ValueError as e:
            raise SettingError(f"-o {shown(one)}: the value is not valid YAML ({e})") from e
        change(document, key.strip(), value)


def change(document: Document, key: str, value: object) -> None:
    """Sets one key of a document.

    Args:
        document: It is changed in place; sections that are missing are made.
        key: Its names, joined by dots.
        value: What it is set to; `False` takes an operator out of its list.

    Raises:
        SettingError: It leads into a value, or to an operator or item that is not there.
    """
    names = key.split(".")
    place: Any = document
    for i, name in enumerate(names[:-1]):
        if isinstance(place, list):
            place = _item(place, name, ".".join(names[:i]))[1]
        else:
            if place.get(name) is None:
                place[name] = {}
            place = place[name]
        if not isinstance(place, dict | list):
            raise SettingError(
                f"{key}: {'.'.join(names[: i + 1])} is {shown(place)}, which has no keys of its own"
            )
    if isinstance(place, dict):
        place[names[-1]] = value
        return
    at, _ = _item(place, names[-1], ".".join(names[:-1]))
    if names[-1].isdecimal():
        place[at] = value
    elif value is False:
        del place[at]
    else:
        place[at] = {names[-1]: value}


def _item(items: list[Any], name: str, path: str) -> tuple[int, Any]:
    """Finds an item of a list by its number, or an operator by its name; gives its place and its content."""
    if name.isdecimal() and int(name) < len(items):
        return int(name), items[int(name)]
    for at, item in enumerate(items):
        if isinstance(item, dict) and list(item) == [name]:
            if item[name] is None:
                item[name] = {}
            return at, item[name]
    there = [str(next(iter(item), "")) if isinstance(item, dict) else str(i) for i, item in enumerate(items)]
    raise SettingError(f"{path} has no {shown(name)}; it has {', '.join(there) or 'nothing'}")


def differences(document: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a document says otherwise than another, by keys joined by dots; None for what it lacks."""
    found: dict[str, Any] = {}
    for name in [*base, *(name for name in document if name not in base)]:
        mine, other = document.get(name), base.get(name)
        if isinstance(mine, Mapping) and isinstance(other, Mapping):
            found |= {f"{name}.{key}": value for key, value in differences(mine, other).items()}
        elif mine != other:
            found[name] = mine
    return found
