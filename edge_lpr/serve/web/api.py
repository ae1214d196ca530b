"""The interface for programs, /api/v1: one table, of which the routes and their description are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_lpr.serve.web.api_cameras import CAMERA_SCHEMAS, CAMERAS
from edge_lpr.serve.web.api_events import EVENT_SCHEMAS, EVENTS
from edge_lpr.serve.web.api_read import READ, READ_SCHEMAS
from edge_lpr.serve.web.api_totals import TOTAL_SCHEMAS, TOTALS
from edge_lpr.serve.web.asking import Operation
from edge_lpr.serve.web.openapi import describe
from edge_lpr.serve.web.problems import json_response

__all__ = ["API", "description"]


def description() -> dict[str, Any]:
    """Returns what programs are told of the interface, as OpenAPI 3.1."""
    return describe((operation for operation in API if operation.name), SCHEMAS)


SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    **EVENT_SCHEMAS,
    **CAMERA_SCHEMAS,
    **TOTAL_SCHEMAS,
    **READ_SCHEMAS,
}
API: tuple[Operation, ...] = (
    *EVENTS,
    *CAMERAS,
    *TOTALS,
    *READ,
    Operation("GET", "/api/openapi.json", lambda ask: json_response(description())),
)
