"""Counts, stays and lists in the interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, astuple, fields
from typing import Any, get_args

from starlette.responses import Response

from edge_lpr.serve.counts import Count
from edge_lpr.serve.list_hits import ListHits
from edge_lpr.serve.record import Action
from edge_lpr.serve.stays import Stay, occupancy
from edge_lpr.serve.web.asking import Ask, Operation
from edge_lpr.serve.web.downloads import csv_response
from edge_lpr.serve.web.openapi import json_of, list_of, schema_of
from edge_lpr.serve.web.problems import json_response
from edge_lpr.serve.web.totals import COUNT_FILTERS, HIT_DAYS, STAY_FILTERS, counted, found_stays, listed

__all__ = ["TOTALS", "TOTAL_SCHEMAS"]


def _counts(ask: Ask) -> Response:
    found, _, _ = counted(ask)
    return json_response({"counts": [asdict(one) for one in found]})


def _counts_csv(ask: Ask) -> Response:
    found, _, _ = counted(ask)
    return csv_response("counts.csv", _columns(Count), map(astuple, found))


def _stays(ask: Ask) -> Response:
    found = found_stays(ask)
    return json_response({"stays": [asdict(one) for one in found], "inside": occupancy(found)})


def _stays_csv(ask: Ask) -> Response:
    return csv_response("stays.csv", _columns(Stay), map(astuple, found_stays(ask)))


def _lists(ask: Ask) -> Response:
    return json_response({"lists": listed(ask.context, ask.context.settings.lists)})


def _columns(kind: type[Count] | type[Stay]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


TOTAL_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "Count": schema_of(Count),
    "Stay": schema_of(Stay),
    "List": schema_of(
        ListHits,
        {
            "name": {"type": "string"},
            "action": {"type": "string", "enum": list(get_args(Action))},
            "plates": {"type": "integer", "description": "Plates and patterns that stand in it."},
        },
    ),
}
TOTALS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/api/v1/lists",
        _lists,
        (),
        "getLists",
        f"The lists, and their hits of the last {HIT_DAYS} days",
        gives=json_of({"lists": list_of("List")}),
    ),
    Operation(
        "GET",
        "/api/v1/stays",
        _stays,
        STAY_FILTERS,
        "getStays",
        "Entries and exits of a site as pairs, by default of the last day, and how many are inside",
        gives=json_of({"stays": list_of("Stay"), "inside": {"type": "integer"}}),
    ),
    Operation(
        "GET",
        "/api/v1/stays.csv",
        _stays_csv,
        STAY_FILTERS,
        "downloadStays",
        "The same as a table",
        gives={"text/csv": {}},
    ),
    Operation(
        "GET",
        "/api/v1/counts",
        _counts,
        COUNT_FILTERS,
        "getCounts",
        "Passages by hour or day, camera, direction and kind; by default of the last day, or month",
        gives=json_of({"counts": list_of("Count")}),
    ),
    Operation(
        "GET",
        "/api/v1/counts.csv",
        _counts_csv,
        COUNT_FILTERS,
        "downloadCounts",
        "The same as a table",
        gives={"text/csv": {}},
    ),
)
