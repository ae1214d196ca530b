"""Events as HTTP POST.

What becomes of an answer:

- 2xx: the event is delivered.
- 408, 425, 429, 502, 503, 504, and no answer at all: the receiver takes nothing now; all wait, as long as
  `Retry-After` asks for or longer and longer.
- 3xx, 401, 403, 404, 405, 407: address or access are wrong. Nothing is lost meanwhile: all wait, and the log
  says what to put right. Redirections are not followed: what is signed for one address goes to no other.
- 500 and others from 505 on: this event waits, others go before it.
- any other 4xx: the receiver will never take this event; it is given up, counted and said.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from edge_lpr._version import __version__
from edge_lpr.errors import InputError, one_line
from edge_lpr.io.tls import client_context
from edge_lpr.masking import remember_receiver, remember_secret
from edge_lpr.serve.delivery.items import DeliveryError, Item
from edge_lpr.serve.delivery.sender import DeliveryContext, Sender
from edge_lpr.serve.output_settings import WebhookSettings

__all__ = ["SIGNATURE_HEADER", "WebhookSender", "signature"]

SIGNATURE_HEADER = "X-Edge-LPR-Signature"
_BUSY = frozenset({408, 425, 429, 502, 503, 504})
_WRONG = {
    401: "answers 401 Unauthorized: wrong user, password or token",
    403: "answers 403 Forbidden: this user or token may not",
    404: "answers 404 Not Found: wrong path in the url",
    405: "answers 405 Method Not Allowed: wrong path in the url; it takes no POST",
    407: "answers 407: a proxy between wants a password",
}
_DRAINED = 64 << 10  # bytes of an answer that are read, so that the connection can be used again


def signature(secret: str, body: bytes, moment: int) -> str:
    """Returns the header by which a receiver knows who sent a body, and when.

    Args:
        secret: What sender and receiver share.
        body: The request's body.
        moment: Seconds of the epoch. A receiver that refuses old ones takes no recorded request again.

    Returns:
        "t=SECONDS,v1=HEX": HMAC-SHA256 over "SECONDS.", and the body, in lower-case hexadecimal digits.
    """
    text = f"{moment}.".encode() + body
    return f"t={moment},v1={hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()}"


class WebhookSender(Sender):
    """Posts events to one address.

    Args:
        name: The output's name.
        settings: Its settings.
        context: What it needs of the service.

    Raises:
        InputError: The settings cannot be used: a file of certificates that is none, a header with line ends.
    """

    def __init__(self, name: str, settings: WebhookSettings, context: DeliveryContext) -> None:
        # It logs every address that it asks.
        for noisy in ("httpx", "httpcore"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        remember_receiver(settings.url)
        for secret in (settings.secret, *settings.headers.values()):
            remember_secret(secret)
        self._settings = settings
        self._context = context
        self._shown = _host(name, settings.url)
        self._connection = _Connection()
        headers = {"User-Agent": f"edge-lpr/{__version__}", **settings.headers}
        for key, value in headers.items():
            if not (key.isascii() and value.isascii() and f"{key}{value}".isprintable() and key.strip()):
                raise InputError(
                    f"outputs.{name}.headers: {key!r}: expected printable ASCII in name and value"
                )
        ca = None if settings.ca is None else context.folder / settings.ca
        tls = client_context(f"outputs.{name}: ", any_certificate=settings.any_certificate, ca=ca)
        try:
            self._client = httpx.Client(
                headers=headers,
                timeout=settings.timeout,
                verify=tls,
                follow_redirects=False,
                limits=httpx.Limits(max_connections=1, keepalive_expiry=15),
            )
        except (ImportError, ValueError) as e:  # a proxy of the environment that httpx does not know
            raise InputError(f"outputs.{name}: {one_line(e)}; look at HTTP_PROXY, ALL_PROXY, NO_PROXY") from e

    def send(self, item: Item) -> None:
        """Posts an event; see `Sender.send`."""
        request = self._request(item)
        if self._settings.secret:
            request.headers[SIGNATURE_HEADER] = signature(
                self._settings.secret, request.read(), int(time.time())
            )
        request.extensions["trace"] = self._connection.follow
        late = f"{self._shown} gives no answer within {self._settings.timeout:g} s"
        with self._connection.cut_after(self._settings.timeout):
            try:
                response = self._client.send(request, stream=True)
                _drain(response, time.monotonic() + self._settings.timeout)
            except httpx.TimeoutException as e:
                raise DeliveryError(late) from e
            except (httpx.HTTPError, httpx.StreamError, OSError) as e:
                if self._connection.was_cut:
                    raise DeliveryError(late) from e
                raise DeliveryError(f"{self._shown} cannot be reached: {one_line(e, 120)}") from e
        self._judge(response)

    def close(self, seconds: float) -> None:
        """Closes the connection."""
        self._client.close()
        self._connection.close()

    def _request(self, item: Item) -> httpx.Request:
        headers = {"Idempotency-Key": f"{item.id}/{item.revision}"}
        body = item.body.encode()
        if self._settings.form == "json":
            headers["Content-Type"] = "application/json"
            return self._client.build_request("POST", self._settings.url, content=body, headers=headers)
        record = item.record
        files: list[tuple[str, tuple[str, bytes, str]]] = [
            ("event", ("event.json", body, "application/json"))
        ]
        for part in ("crop", "frame"):
            picture = self._context.jpeg(record[part])
            if picture is not None:
                files.append((part, (f"{part}.jpg", picture, "image/jpeg")))
        return self._client.build_request("POST", self._settings.url, files=files, headers=headers)

    def _judge(self, response: httpx.Response) -> None:
        status = response.status_code
        if 200 <= status < 300:
            return
        what = f"{self._shown} answers {status} {response.reason_phrase[:40]}".rstrip()
        if status in _BUSY:
            raise DeliveryError(what, after=_retry_after(response.headers.get("Retry-After", "")))
        if status in _WRONG:
            raise DeliveryError(f"{self._shown} {_WRONG[status]}")
        if status < 400:
            raise DeliveryError(f"{what}: it leads elsewhere, which is not followed; give that url")
        if status >= 500:
            raise DeliveryError(
                what, whole=False, after=_retry_after(response.headers.get("Retry-After", ""))
            )
        raise DeliveryError(f"{what}: it refuses this event", whole=False, final=True)


class _Connection:
    """The connection of a client, which is cut where an exchange takes too long.

    The client's own limits are of each wait for a byte: who sends one now and then is never late for them.

    Attributes:
        was_cut: Whether the last exchange took too long.
    """

    def __init__(self) -> None:
        self.was_cut = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def follow(self, name: str, info: dict[str, Any]) -> None:
        """Takes what httpcore tells of a request: which socket it has opened."""
        if name.endswith("connect_tcp.complete"):
            opened = info["return_value"].get_extra_info("socket").dup()
            self.close()
            with self._lock:
                self._socket = opened
                if self.was_cut:
                    self._cut_here()

    @contextmanager
    def cut_after(self, seconds: float) -> Iterator[None]:
        """Ends what goes over it after so many seconds."""
        self.was_cut = False
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def close(self) -> None:
        """Forgets the connection."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _cut(self) -> None:
        with self._lock:
            self.was_cut = True
            self._cut_here()

    def _cut_here(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # it is gone already
                self._socket.shutdown(socket.SHUT_RDWR)


def _host(name: str, url: str) -> str:
    """Returns an address as messages show it: paths and queries of webhooks are passwords."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https"):
        raise InputError(f"outputs.{name}.url: expected https://HOST/PATH or http://HOST/PATH")
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def _drain(response: httpx.Response, until: float) -> None:
    """Reads what follows the status, a part of it at most: what becomes of the event, the status has said."""
    read = 0
    with closing(response), suppress(httpx.HTTPError, httpx.StreamError, OSError):
        for chunk in response.iter_raw():
            read += len(chunk)
            if read > _DRAINED or time.monotonic() > until:
                return


def _retry_after(text: str) -> float:
    """Returns the seconds of a Retry-After header, which is a number or a date; 0 for none."""
    if text.isdecimal() and text.isascii():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
