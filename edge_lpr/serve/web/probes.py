"""What others ask of the service by the minute: whether it is well, whether it is ready, and its figures."""

from __future__ import annotations

from starlette.responses import Response

from edge_lpr.serve.web.asking import Ask, Operation
from edge_lpr.serve.web.problems import Problem

__all__ = ["PROBES"]


def _health(ask: Ask) -> Response:
    return Response("ok\n", media_type="text/plain")


def _ready(ask: Ask) -> Response:
    missing = ask.context.is_ready()
    if missing:
        raise Problem(503, missing)
    return Response("ready\n", media_type="text/plain")


def _metrics(ask: Ask) -> Response:
    text, kind = ask.context.metrics()
    return Response(text, headers={"content-type": kind})


PROBES: tuple[Operation, ...] = (
    Operation("GET", "/healthz", _health),
    Operation("GET", "/readyz", _ready),
    Operation("GET", "/metrics", _metrics),
)
