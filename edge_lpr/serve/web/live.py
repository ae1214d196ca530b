"""A camera's picture, live: one still, or one after the other for as long as somebody looks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from edge_lpr.serve.web.context import WebContext
from edge_lpr.serve.web.problems import Problem

__all__ = ["LiveResponse", "Viewers"]

MOST_VIEWERS = 12
_PAUSE = 0.2  # seconds from one picture to the next at least: five a second are enough to aim a camera
_STALLED = 15.0  # seconds in which a browser has to take one picture
_REPEAT = 5.0  # seconds after which the same picture is sent again, so that one who has gone is noticed
_LONGEST = 3600.0  # seconds; a forgotten tab asks again, or not
_BOUNDARY = b"edge-lpr-frame"
_HEAD = b"--%b\r\nContent-Type: image/jpeg\r\n\r\n" % _BOUNDARY


_logger = logging.getLogger("edge_lpr")


class Viewers:
    """How many look at once.

    Args:
        most: More are turned away.
    """

    def __init__(self, most: int = MOST_VIEWERS) -> None:
        self.most = most
        self.count = 0

    def __enter__(self) -> None:
        if self.count >= self.most:
            raise Problem(
                503, f"{self.most} are looking already; the still is refreshed, too", {"Retry-After": "10"}
            )
        self.count += 1

    def __exit__(self, *error: object) -> None:
        self.count -= 1


class LiveResponse(Response):
    """Motion JPEG (`multipart/x-mixed-replace`), an answer of ASGI.

    A picture is encoded when somebody looks, once for all who do. Who is slow gets the newest picture when he
    has taken the one before, so nothing waits for him, and who takes none for a while is let go.

    Args:
        context: The service.
        camera: The camera's name.
        viewers: How many look.
        first: The first picture.
        may_look: Asked again and again whether he may still look.
    """

    def __init__(
        self,
        context: WebContext,
        camera: str,
        viewers: Viewers,
        first: bytes,
        may_look: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__()
        self._context = context
        self._camera = camera
        self._viewers = viewers
        self._first = first
        self._may_look = may_look

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends pictures until the browser goes, or stalls."""
        if scope["method"] == "HEAD":
            await Response(media_type="multipart/x-mixed-replace")(scope, receive, send)
            return
        with self._viewers:
            kind = b"multipart/x-mixed-replace; boundary=" + _BOUNDARY
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
            gone = asyncio.ensure_future(_gone(receive))
            try:
                before = _HEAD
                async for picture in self._pictures(gone):
                    # The next one's head comes with a picture: Chromium shows none until then.
                    part = b"%b%b\r\n%b" % (before, picture, _HEAD)
                    before = b""
                    body = {"type": "http.response.body", "body": part, "more_body": True}
                    await asyncio.wait_for(send(body), _STALLED)
                await send({"type": "http.response.body", "body": b""})
            except asyncio.TimeoutError:
                _logger.info("%s: a browser that took no picture was let go", self._camera)
            finally:
                gone.cancel()

    async def _pictures(self, gone: asyncio.Future[None]) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        begun = sent = clock()
        shown = self._first
        yield shown
        while not (gone.done() or self._context.is_over) and clock() - begun < _LONGEST:
            await asyncio.wait([gone], timeout=_PAUSE)
            picture = await self._context.work(lambda: self._context.cameras.latest(self._camera))
            if picture is None or gone.done() or self._context.is_over or not self._may_look():
                return
            if (picture is not shown and picture != shown) or clock() - sent >= _REPEAT:
                shown, sent = picture, clock()
                yield shown


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
