"""What is answered where something is wrong: one form for programs (RFC 9457), a page for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import HTMLResponse, Response

from edge_lpr.masking import masked
from edge_lpr.serve.web.templates import render

__all__ = ["Problem", "is_for_programs", "json_response", "problem_response"]

_PROGRAMS = ("/api/", "/healthz", "/readyz", "/metrics")


class Problem(Exception):  # noqa: N818 (RFC 9457's own word)
    """A request that is not answered as it was meant.

    Args:
        status: HTTP's.
        detail: What is wrong, and what was expected: a sentence without a full stop.
        headers: Of the answer.
        field: The parameter or field that is wrong, if it is one.
    """

    def __init__(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None, field: str = ""
    ) -> None:
        super().__init__(masked(detail))
        self.status = status
        self.headers = dict(headers or {})
        self.field = field


def is_for_programs(path: str) -> bool:
    """Tells whether a path is of the interface, and not a page."""
    return path.startswith(_PROGRAMS)


def json_response(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answers a program: JSON in UTF-8, no NaN."""
    body = json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    return Response(body, status, headers, "application/json")


def problem_response(path: str, problem: Problem, theme: str = "") -> Response:
    """Answers with a problem: JSON for the interface, else a page.

    Args:
        path: The request's.
        problem: What is wrong.
        theme: The page's: "light", "dark" or "" for the browser's.
    """
    title = HTTPStatus(problem.status).phrase
    if not is_for_programs(path):
        html = render("problem.html", theme=theme, title=title, detail=str(problem), status=problem.status)
        return HTMLResponse(html, problem.status, problem.headers)
    data: dict[str, object] = {"type": "about:blank", "title": title, "status": problem.status}
    data["detail"] = str(problem)
    if problem.field:
        data["field"] = problem.field
    response = json_response(data, problem.status, problem.headers)
    response.headers["content-type"] = "application/problem+json"
    return response
