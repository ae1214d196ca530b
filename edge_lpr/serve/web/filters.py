"""What events are looked for by: the same fields on the page, in the interface and in downloads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args
from urllib.parse import urlencode

from edge_lpr.plates import plate_kinds
from edge_lpr.serve.record import Action
from edge_lpr.serve.search import MAX_LIMIT, Query
from edge_lpr.serve.web.parameters import Parameter

__all__ = ["CAMERA", "EVENT_ID", "FILTERS", "PAGING", "SPAN", "kinds", "query_of", "query_string"]

EVENT_ID = Parameter("id", "the event's id", place="path")
CAMERA = Parameter("name", "the camera's name", place="path", most=48)
SPAN = (
    Parameter("from", "first seen then or later; without an offset, by the machine's clock", "time"),
    Parameter("to", "first seen earlier than that", "time"),
)
FILTERS = (
    Parameter(
        "plate", 'as it was read or corrected; "?" is one character, "*" any number', most=64, default=""
    ),
    Parameter("lookalikes", "0 and D, 8 and B, … are taken for each other", "boolean", default=True),
    Parameter("camera", "the camera's name", most=48, default=""),
    *SPAN,
    Parameter("list", "the name of a list that matched", most=48, default=""),
    Parameter("action", "what the list that counts says", choices=get_args(Action), default=""),
    Parameter("kind", "the kind of plate", most=32, default=""),
    Parameter("direction", "where to", choices=("in", "out"), default=""),
)
PAGING = (
    Parameter("limit", "events of a page", "integer", least=1, most=MAX_LIMIT, default=50),
    Parameter("cursor", "where the page begins, as the one before says", most=64, default=""),
)


def query_of(values: Mapping[str, Any], **others: Any) -> Query:  # noqa: ANN401 (fields of the query)
    """Makes a query of the parameters that were read.

    Args:
        values: Of `FILTERS`, and of `PAGING` where the route has them.
        others: Fields of the query that the route decides.
    """
    names = {"from": "since", "to": "before"}
    return Query(**{names.get(name, name): value for name, value in values.items()} | others)


def query_string(values: Mapping[str, Any], **others: str) -> str:
    """Writes fields as a link has them: those that say anything."""
    fields = {name: text for name, text in {**values, **others}.items() if text}
    return urlencode(fields)


def kinds() -> tuple[str, ...]:
    """Returns the kinds of plate that there are."""
    return tuple(plate_kinds())
