"""What every request passes: the host's name, who asks, forged forms, sizes, and the headers of each answer.

Written for ASGI itself and not as a framework's middleware, so that no route can be added beside it.
"""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_lpr.serve.web.access import Access, Viewer
from edge_lpr.serve.web.context import WebContext
from edge_lpr.serve.web.hosts import is_our_host, is_our_origin, is_this_machine
from edge_lpr.serve.web.problems import Problem, is_for_programs, problem_response
from edge_lpr.serve.web.sessions import Sessions

__all__ = [
    "BODY",
    "COOKIE",
    "PICTURE_BYTES",
    "READ_PATH",
    "VIEWER",
    "address_of",
    "cookie_header",
    "theme_of",
]

COOKIE = "edge_lpr_session"
THEME_COOKIE = "edge_lpr_theme"
VIEWER, BODY = "edge_lpr.viewer", "edge_lpr.body"
"""Where a request's scope has them."""
READ_PATH = "/api/v1/read"
PICTURE_BYTES = 16 << 20
"""Of a posted picture; one of 32 megapixels has about as many."""
_FORM_BYTES = 512 << 10  # 64 polygons of 64 points take half of it
_PICTURES_AT_ONCE = 2  # each takes a hundred megabytes once it is decoded
_PART_WAIT, _BODY_WAIT = 10.0, 60.0  # seconds for the next part of a body, and for all of it
_OPEN = ("/healthz", "/signin")
_SAFE = ("GET", "HEAD")
_METHODS = (*_SAFE, "POST", "PATCH")
# A page of ours takes nothing from elsewhere, holds no script or style of its own, and stands in no frame.
# No Strict-Transport-Security: it would hold for every port of the host, some of which may have no TLS.
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


class Guard:
    """Lets through to the routes who may pass.

    Args:
        app: The routes. They find the `Viewer` and the body in the scope under `VIEWER` and `BODY`.
        context: The service.
        access: Who may.
    """

    def __init__(self, app: ASGIApp, context: WebContext, access: Access) -> None:
        self._app = app
        self._context = context
        self._access = access
        self._pictures = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        cookies = _cookies(headers.get("cookie", ""))
        browser = cookies.get(COOKIE, "")
        is_new = not Sessions.may_be_id(browser)
        browser = Sessions.new_id() if is_new else browser
        cookie = cookie_header(browser, headers, scope) if is_new and _sets_cookie(scope) else ""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    added.setdefault(name, value)
                if cookie and "set-cookie" not in added:
                    added["set-cookie"] = cookie
            await send(message)

        is_picture = scope["path"] == READ_PATH
        if is_picture:
            self._pictures += 1
        try:
            try:
                refused = await self._judge(scope, headers, browser, receive)
            except Problem as problem:
                refused = problem_response(scope["path"], problem, theme_of(headers))
            if refused is not None:
                await refused(scope, receive, send_guarded)
            else:
                await self._app(scope, _replay(scope[BODY], receive), send_guarded)
        finally:
            if is_picture:
                self._pictures -= 1

    async def _judge(self, scope: Scope, headers: Headers, browser: str, receive: Receive) -> Response | None:
        """Fills the scope; returns what is answered to one who may not pass.

        Raises:
            Problem: He may not pass.
        """
        web = self._context.settings.web
        path, method = scope["path"], scope["method"]
        if not is_our_host(headers.get("host", ""), web.listen, web.hosts):
            raise Problem(
                421,
                "this name is not known here: open the page by its address, "
                'or name it in the configuration, [web] hosts = ["…"]',
            )
        if method not in _METHODS:
            raise Problem(405, f"expected one of {', '.join(_METHODS)}", {"Allow": ", ".join(_METHODS)})
        scope[BODY] = b""
        if path.startswith("/static/") or path == "/healthz":
            scope[VIEWER] = Viewer("")
            if method not in _SAFE:
                raise Problem(405, "expected GET", {"Allow": "GET, HEAD"})
            return None
        viewer = await self._context.work(
            lambda: self._access.viewer(web, headers, browser, address_of(scope))
        )
        scope[VIEWER] = viewer
        if not viewer.name and path not in _OPEN:
            if is_for_programs(path) or method not in _SAFE:
                raise Problem(401, "sign in, or send a token", {"WWW-Authenticate": "Bearer"})
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse(f"/signin?next={quote(path + ('?' + query if query else ''))}", 303)
        if method not in _SAFE:
            await self._judge_change(scope, headers, viewer, receive)
        return None

    async def _judge_change(self, scope: Scope, headers: Headers, viewer: Viewer, receive: Receive) -> None:
        web = self._context.settings.web
        path = scope["path"]
        origin = headers.get("origin", "null")
        # "null" is what our own forms send, as they send no referrer.
        if origin != "null" and not is_our_origin(origin, headers.get("host", ""), web.hosts):
            raise Problem(403, f"sent by a page of {origin[:80]!r}, expected one of this service")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Problem(403, "sent by a page of elsewhere, expected one of this service")
        if viewer.name and not viewer.write and path != READ_PATH:
            raise Problem(403, f"the token {viewer.name!r} may not change anything: write = true lets it")
        if path == READ_PATH and self._pictures > _PICTURES_AT_ONCE:
            raise Problem(503, "busy with other pictures; try again", {"Retry-After": "1"})
        token = headers.get("x-csrf-token", "")
        program = not viewer.browser or (viewer.name == "local" and "x-edge-lpr" in headers)
        if token and not self._access.sessions.is_csrf_token(viewer.browser, token):
            raise Problem(403, _FORGED)
        if not (token or program) and is_for_programs(path):
            raise Problem(403, _NO_HEADER)
        scope[BODY] = await _body(headers, receive, PICTURE_BYTES if path == READ_PATH else _FORM_BYTES)
        if not (token or program):
            try:
                form = parse_qs(scope[BODY].decode("utf-8", "replace"), max_num_fields=64)
            except ValueError as e:
                raise Problem(400, "expected a form of at most 64 fields") from e
            if not self._access.sessions.is_csrf_token(viewer.browser, form.get("csrf", [""])[0]):
                raise Problem(403, _FORGED)


_FORGED = "the form is not of this visit; go back, load the page again, and send it once more"
_NO_HEADER = (
    "expected a token, as a Bearer in the header Authorization; of a page's script X-CSRF-Token; "
    "where no token is needed, X-Edge-LPR: 1"
)


def cookie_header(browser: str, headers: Headers, scope: Scope) -> str:
    """Returns what sets the browser's id: out of scripts' reach, and sent to us by our own pages alone."""
    # A proxy before us may have TLS, which a browser alone tells: it sends Sec-Fetch-Site where it asks over
    # TLS, or this machine itself.
    by_tls = "sec-fetch-site" in headers and not is_this_machine(headers.get("host", ""))
    safe = scope["scheme"] == "https" or headers.get("origin", "").startswith("https://") or by_tls
    return f"{COOKIE}={browser}; Path=/; HttpOnly; SameSite=Strict{'; Secure' * safe}"


def theme_of(headers: Headers) -> str:
    """Returns the theme that a browser has chosen: "light", "dark" or ""."""
    theme = _cookies(headers.get("cookie", "")).get(THEME_COOKIE, "")
    return theme if theme in ("light", "dark") else ""


def _sets_cookie(scope: Scope) -> bool:
    return not is_for_programs(scope["path"]) and not scope["path"].startswith("/static/")


def address_of(scope: Scope) -> str:
    """Returns where a request comes from; of a proxy, the proxy's."""
    client = scope.get("client")
    return client[0] if client else ""


def _cookies(header: str) -> dict[str, str]:
    # Not the standard library's reader: it gives up at the first cookie that it does not like, and programs
    # at other ports of this machine have theirs sent to us too.
    return cookie_parser(header)


async def _body(headers: Headers, receive: Receive, limit: int) -> bytes:
    """Reads a body whole, within limits of size and time."""
    length = headers.get("content-length", "0")
    parts: list[bytes] = []
    size, more = int(length) if length.isdigit() and len(length) < 16 else limit + 1, True
    until = asyncio.get_running_loop().time() + _BODY_WAIT
    too_large = Problem(413, f"expected {limit >> 10} KiB at most")
    if size > limit:
        raise too_large
    size = 0
    while more:
        left = min(_PART_WAIT, until - asyncio.get_running_loop().time())
        try:
            message = await asyncio.wait_for(receive(), left)
        except asyncio.TimeoutError:
            raise Problem(408, "the request's body did not come in time") from None
        if message["type"] == "http.disconnect":
            raise Problem(400, "the request's body ended early")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise too_large
        more = message.get("more_body", False)
    return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read once more, then what comes after it: that the client has gone."""
    given = False

    async def again() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again
