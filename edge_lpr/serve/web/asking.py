"""A request in the hands of a route, and the tables that routes stand in."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from edge_lpr.serve.web.access import Access, Viewer
from edge_lpr.serve.web.context import WebContext
from edge_lpr.serve.web.guard import BODY, VIEWER, theme_of
from edge_lpr.serve.web.parameters import Parameter, read_parameters
from edge_lpr.serve.web.problems import Problem
from edge_lpr.serve.web.templates import render, zone

__all__ = ["Answer", "Ask", "Operation"]


@dataclass(frozen=True)
class Ask:
    """One request.

    Attributes:
        context: The service.
        access: Who may.
        viewer: Who asks.
        values: The parameters that the route declares, read.
        request: The request itself.
        body: Its body.
    """

    context: WebContext
    access: Access
    viewer: Viewer
    values: dict[str, Any]
    request: Request
    body: bytes

    @classmethod
    def of(
        cls, context: WebContext, access: Access, parameters: tuple[Parameter, ...], request: Request
    ) -> Ask:
        """Makes it of a request that the guard let through.

        Raises:
            Problem: A parameter is not as it should be.
        """
        values = read_parameters(parameters, request.query_params.multi_items(), request.path_params)
        return cls(context, access, request.scope[VIEWER], values, request, request.scope[BODY])

    def form(self) -> dict[str, str]:
        """Returns the fields of a form; of each the first."""
        try:
            fields = parse_qs(self.body.decode(), keep_blank_values=True, max_num_fields=64)
        except ValueError as e:  # no UTF-8, or more fields
            raise Problem(400, "expected the fields of a form in UTF-8") from e
        return {name: values[0] for name, values in fields.items()}

    def json(self) -> Any:  # noqa: ANN401 (what stands there)
        """Returns the body as JSON."""
        try:
            return json.loads(self.body.decode())
        except (ValueError, RecursionError) as e:
            raise Problem(400, "expected a body of JSON in UTF-8") from e

    def page(self, template: str, **values: Any) -> Response:  # noqa: ANN401 (a template shows anything)
        """Answers with a page.

        Args:
            template: Its template.
            values: What it shows, beside what all pages do; `status` is the answer's.
        """
        status = values.pop("status", 200)
        html = render(
            template,
            **{
                "page": self.request.url.path,
                "theme": theme_of(self.request.headers),
                "signed_in": self.viewer.name == "page",
                "csrf": self.access.sessions.csrf_token(self.viewer.browser),
                "zone": zone(),
                **values,
            },
        )
        return Response(html, status, media_type="text/html")


Answer = Callable[[Ask], Response]


@dataclass(frozen=True)
class Operation:
    """One route: how it is asked, what answers, and for the interface's what programs are told of it.

    Attributes:
        method: Of HTTP.
        path: With "{name}" for its parameters.
        answer: Answers it; a plain function runs in a thread, as it may wait for the disk.
        parameters: All that it takes.
        name: What it is called, unique; "" for a page, which programs are not told of.
        about: What it does.
        takes: Types of its body and the schema of each.
        gives: Types of its answer and the schema of each.
        problems: Statuses of answers that say why not, beside those that every request may get.
    """

    method: Literal["GET", "POST", "PATCH"]
    path: str
    answer: Answer | Callable[[Ask], Awaitable[Response]]
    parameters: tuple[Parameter, ...] = ()
    name: str = ""
    about: str = ""
    takes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    gives: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problems: tuple[int, ...] = ()
