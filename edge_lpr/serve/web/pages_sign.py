"""Signing in and out."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response

from edge_lpr.serve.web.asking import Ask, Operation
from edge_lpr.serve.web.guard import address_of, cookie_header
from edge_lpr.serve.web.parameters import Parameter
from edge_lpr.serve.web.problems import Problem
from edge_lpr.serve.web.sessions import Sessions

__all__ = ["SIGN_PAGES"]

_NEXT = Parameter("next", "where to go then", most=2000, default="/")
_logger = logging.getLogger("edge_lpr")


def _sign_in_page(ask: Ask) -> Response:
    if ask.viewer.name:
        return RedirectResponse(_inside(ask.values["next"]), 303)
    return _page(ask, ask.values["next"])


def _sign_in(ask: Ask) -> Response:
    form, web = ask.form(), ask.context.settings.web
    where, address = _inside(form.get("next", "/")), address_of(ask.request.scope)
    try:
        browser = ask.access.sign_in(web, form.get("password", ""), address)
    except Problem as problem:
        response = _page(ask, where, f"{str(problem).capitalize()}.", problem.status)
        response.headers.update(problem.headers)
        return response
    if browser is None:
        _logger.warning("page: a wrong password from %s", address)
        return _page(ask, where, "The password is wrong.", 403)
    _logger.info("page: signed in from %s", address)
    response = RedirectResponse(where, 303)
    response.headers["set-cookie"] = cookie_header(browser, ask.request.headers, ask.request.scope)
    return response


def _sign_out(ask: Ask) -> Response:
    ask.access.sessions.sign_out(ask.viewer.browser)
    response = RedirectResponse("/signin", 303)
    response.headers["set-cookie"] = cookie_header(Sessions.new_id(), ask.request.headers, ask.request.scope)
    # What the browser has kept of pictures goes, too.
    response.headers["clear-site-data"] = '"cache"'
    return response


def _page(ask: Ask, where: str, error: str = "", status: int = 200) -> Response:
    return ask.page(
        "signin.html",
        status=status,
        error=error,
        next=where,
        has_password=bool(ask.context.settings.web.password),
    )


def _inside(where: str) -> str:
    """Returns a path of this service: nobody is sent elsewhere by a link to the sign-in page."""
    parts = urlsplit(where.replace("\\", "/"))
    inside = where.startswith("/") and not (parts.scheme or parts.netloc) and not where.startswith("//")
    return where if inside and where.isascii() and where.isprintable() and "\\" not in where else "/"


SIGN_PAGES: tuple[Operation, ...] = (
    Operation("GET", "/signin", _sign_in_page, (_NEXT,)),
    Operation("POST", "/signin", _sign_in),
    Operation("POST", "/signout", _sign_out),
)
