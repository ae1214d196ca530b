"""All keys of a configuration as Markdown, out of the schema: `edge-lpr serve --settings`, docs/serve.md."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from edge_lpr.serve import output_settings
from edge_lpr.serve import settings as schema
from edge_lpr.serve.setting_types import Point, Polygon

__all__ = ["settings_page"]

_TABLES: tuple[type[BaseModel], ...] = (
    schema.ServiceSettings,
    schema.ReaderSettings,
    schema.CameraSettings,
    schema.ListSettings,
    schema.ListedPlate,
    output_settings.Target,
    output_settings.MqttSettings,
    output_settings.WebhookSettings,
    output_settings.CommandSettings,
    output_settings.FilesSettings,
    schema.RetentionSettings,
    schema.WebSettings,
    schema.TokenSettings,
)
_NAMES: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Polygon: "polygon `[[x, y], …]`",
    tuple[Point, Point]: "`[[x, y], [x, y]]`",
}


def settings_page() -> str:
    """Returns the tables, each with what its keys are, their ranges and defaults."""
    return "\n".join(line for kind in _TABLES for line in _section(kind))


def _section(kind: type[BaseModel]) -> Iterator[str]:
    heading = " ".join((kind.__doc__ or "").split()).rstrip(".")
    yield f"### {heading[0].upper()}{heading[1:]}\n"
    yield "| key | what it is | default | what for |\n|---|---|---|---|"
    shared = output_settings.Target.model_fields if kind is not output_settings.Target else {}
    for name, field in kind.model_fields.items():
        if name not in shared or not issubclass(kind, output_settings.Target):
            cells = (f"`{name}`", _form(field), _default(field), field.description or "")
            yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "has to be there"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    if isinstance(value, list):
        return f"`[{', '.join(_quoted(one) for one in value)}]`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _form(field: FieldInfo) -> str:
    limits: dict[str, Any] = {}
    for one in field.metadata:
        limits |= {k: v for k in ("ge", "le") if (v := getattr(one, k, None)) is not None}
    name = _kind(field.annotation)
    low, high = limits.get("ge"), limits.get("le")
    if low is not None and high is not None:
        return f"{name}, {low:g} to {high:,.15g}"
    return name


def _kind(kind: Any) -> str:  # noqa: ANN401 - of any annotation
    origin, arguments = get_origin(kind), get_args(kind)
    name = _NAMES.get(kind, "table")
    if kind in _NAMES:
        return name
    if origin is Annotated:
        name = _kind(arguments[0])
    elif origin is Literal:
        name = " or ".join(f"`{_quoted(one)}`" for one in arguments)
    elif origin is list:
        name = f"list of {_plural(_kind(arguments[0]))}"
    elif origin in (Union, types.UnionType):
        name = " or ".join(_kind(one) for one in arguments if one is not type(None))
    return name


def _plural(name: str) -> str:
    return f"{name}s" if name in ("text", "table", "number") else name.replace("polygon", "polygons")
