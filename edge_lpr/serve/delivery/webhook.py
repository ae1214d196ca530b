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
import ssl
import time
from contextlib import closing, suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from edge_lpr._version import __version__
from edge_lpr.errors import InputError, one_line
from edge_lpr.masking import remember, remember_secret
from edge_lpr.serve.delivery.items import DeliveryError, Item
from edge_lpr.serve.delivery.sender import Sender, Surroundings
from edge_lpr.serve.settings import WebhookSettings

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
        around: The service.

    Raises:
        InputError: The settings cannot be used: a file of certificates that is none, a header with line ends.
    """

    def __init__(self, name: str, settings: WebhookSettings, around: Surroundings) -> None:
        # It logs every address that it asks.
        for noisy in ("httpx", "httpcore"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        remember(settings.url)
        for secret in (settings.secret, *settings.headers.values()):
            remember_secret(secret)
        self._settings = settings
        self._around = around
        self._shown = _host(name, settings.url)
        headers = {"User-Agent": f"edge-lpr/{__version__}", **settings.headers}
        for key, value in headers.items():
            if not (key.isascii() and value.isascii() and f"{key}{value}".isprintable() and key.strip()):
                raise InputError(
                    f"outputs.{name}.headers: {key!r}: expected printable ASCII in name and value"
                )
        try:
            self._client = httpx.Client(
                headers=headers,
                timeout=settings.timeout,
                verify=_context(around.folder, settings),
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
        try:
            response = self._client.send(request, stream=True)
            _drain(response, time.monotonic() + self._settings.timeout)
        except httpx.TimeoutException as e:
            raise DeliveryError(f"{self._shown} gives no answer within {self._settings.timeout:g} s") from e
        except (httpx.HTTPError, httpx.StreamError, OSError) as e:
            raise DeliveryError(f"{self._shown} cannot be reached: {one_line(e, 120)}") from e
        self._judge(response)

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

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
            picture = self._around.jpeg(record[part])
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


def _context(folder: Path, settings: WebhookSettings) -> ssl.SSLContext:
    """Returns how certificates are looked at: the machine's own ones by default, and SSL_CERT_FILE's."""
    ca = None if settings.ca is None else folder / settings.ca
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as e:
        raise InputError(f"{ca}: {one_line(e)}; expected certificates in PEM") from e
    if settings.any_certificate:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


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
