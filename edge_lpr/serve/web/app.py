"""The page and the interface as one ASGI application."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from edge_lpr.errors import EdgeLprError, one_line
from edge_lpr.serve.web.access import Access
from edge_lpr.serve.web.api import API
from edge_lpr.serve.web.asking import Ask, Operation
from edge_lpr.serve.web.context import WebContext
from edge_lpr.serve.web.guard import Guard, theme_of
from edge_lpr.serve.web.pages import PAGES
from edge_lpr.serve.web.problems import Problem, problem_response

__all__ = ["make_app"]

_logger = logging.getLogger("edge_lpr")


def make_app(context: WebContext) -> ASGIApp:
    """Makes the application.

    Args:
        context: The service.

    Returns:
        What a server calls; every request passes the `Guard`.
    """
    access = Access()
    routes = [_route(operation, context, access) for operation in (*PAGES, *API)]
    app = Starlette(routes=routes, exception_handlers={Problem: _told, HTTPException: _told})
    app.router.redirect_slashes = False
    return Guard(app, context, access)


def _route(operation: Operation, context: WebContext, access: Access) -> Route:
    answer: Callable[[Ask], Any] = operation.answer
    waits = inspect.iscoroutinefunction(answer)

    async def endpoint(request: Request) -> Response:
        ask = Ask.of(context, access, operation.parameters, request)
        try:
            done: Response = await answer(ask) if waits else await context.work(lambda: answer(ask))
        except EdgeLprError as e:
            raise Problem(400 if e.exit_code == 2 else 500, str(e)) from e
        except (Problem, HTTPException):
            raise
        except Exception as e:
            # Here and not by the framework, which has the server write all that it finds into the log.
            _logger.error(  # noqa: TRY400 (a traceback is for who debugs)
                "%s %s: %s",
                operation.method,
                operation.path,
                one_line(e, named=True),
                exc_info=_logger.isEnabledFor(logging.DEBUG),
            )
            raise Problem(500, "the service could not answer; its log says why") from e
        return done

    return Route(operation.path, endpoint, methods=[operation.method])


async def _told(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        error = Problem(error.status_code, _SAID.get(error.status_code, error.detail), error.headers)
    assert isinstance(error, Problem)
    return problem_response(request.url.path, error, theme_of(request.headers))


_SAID = {404: "there is nothing at this address", 405: "this address is not asked in this way"}
