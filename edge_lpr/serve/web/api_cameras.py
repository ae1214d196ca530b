"""Cameras, lists and the service's health in the interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from edge_lpr._version import __version__
from edge_lpr.serve.board import CameraCounts, CameraState
from edge_lpr.serve.web.asking import Ask, Operation
from edge_lpr.serve.web.openapi import json_of, list_of, schema_of
from edge_lpr.serve.web.problems import json_response

__all__ = ["CAMERAS", "CAMERA_SCHEMAS"]


def _cameras(ask: Ask) -> Response:
    return json_response({"cameras": [_camera(ask, one) for one in ask.context.cameras.snapshot()]})


def _camera(ask: Ask, state: CameraState) -> dict[str, Any]:
    areas = ask.context.areas(state.name)
    return {
        **state.to_dict(),
        "regions": areas.regions,
        "masks": areas.masks,
        "is_drawn": areas.is_drawn,
    }


def _health(ask: Ask) -> Response:
    context = ask.context
    return json_response(
        {
            "version": __version__,
            "not_ready": context.is_ready(),
            "pictures": context.pictures.state,
            "clock": context.clock_trouble(),
            "queues": dict(context.queues.depths()),
            "failing": dict(context.queues.failing()),
        }
    )


_POLYGONS: Mapping[str, Any] = {
    "type": "array",
    "description": "Each a list of corners [x, y], in shares of the frame's width and height.",
    "items": {
        "type": "array",
        "items": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number"}},
    },
}
_COUNTS = schema_of(CameraCounts)["properties"]
_CAMERA = schema_of(
    CameraState,
    {**_COUNTS, "regions": _POLYGONS, "masks": _POLYGONS, "is_drawn": {"type": "boolean"}},
    leave_out=("counts",),  # they stand beside the others
)
CAMERA_SCHEMAS: Mapping[str, Mapping[str, Any]] = {"Camera": _CAMERA}
CAMERAS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/api/v1/cameras",
        _cameras,
        (),
        "getCameras",
        "The cameras, and how each is",
        gives=json_of({"cameras": list_of("Camera")}),
    ),
    Operation(
        "GET",
        "/api/v1/health",
        _health,
        (),
        "getHealth",
        "What the service is not ready for, why pictures are not kept, whether the clock is trusted, how "
        "many events wait for which output, and what is wrong with outputs",
        gives=json_of(
            {
                "version": {"type": "string"},
                "not_ready": {"type": "string", "description": "Empty where it is ready."},
                "pictures": {"type": "string", "description": "Why none are kept; empty where they are."},
                "clock": {
                    "type": "string",
                    "description": "Why what is kept grows old faster; empty where the clock is right.",
                },
                "queues": {"type": "object", "additionalProperties": {"type": "integer"}},
                "failing": {
                    "type": "object",
                    "description": "What is wrong with outputs, by name; empty where all deliver.",
                    "additionalProperties": {"type": "string"},
                },
            }
        ),
    ),
)
