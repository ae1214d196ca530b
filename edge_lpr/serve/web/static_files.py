"""The files that pages are made with: their style, script and icon."""

from __future__ import annotations

from starlette.responses import Response

from edge_lpr.serve.web.asking import Ask, Operation
from edge_lpr.serve.web.parameters import Parameter
from edge_lpr.serve.web.templates import STATIC, static_file

__all__ = ["STATIC_FILES"]

_NAME = Parameter("name", "the file's name", choices=tuple(STATIC), place="path")
_TAG = Parameter("v", "what changes when the file does", most=64, default="")


def _static(ask: Ask) -> Response:
    name = ask.values["name"]
    data, tag = static_file(name)
    known = ask.values["v"] == tag
    headers = {"cache-control": "public, max-age=31536000, immutable" if known else "no-cache"}
    return Response(data, headers=headers, media_type=STATIC[name])


STATIC_FILES: tuple[Operation, ...] = (Operation("GET", "/static/{name}", _static, (_NAME, _TAG)),)
