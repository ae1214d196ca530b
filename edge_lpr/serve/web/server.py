"""The page's server: uvicorn in a thread of the service."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from edge_lpr.errors import BackendError, InputError, one_line
from edge_lpr.io.tls import load_certificate
from edge_lpr.serve.web.app import make_app
from edge_lpr.serve.web.auth import host_and_port
from edge_lpr.serve.web.context import WebContext

__all__ = ["WebServer"]

_CONNECTIONS = 64
# Those beyond that are answered with 503, and beyond this closed at once: each is a file of the process, and
# once it has no more of those, no picture is written and no camera opened.
_TAKEN = 2 * _CONNECTIONS
_HEADER_BYTES = 16 << 10
_REQUEST = 10.0  # seconds in which a request's head has to come, and what TLS says before it
_IDLE = 15  # seconds that a connection is kept between two requests
_START = 60.0  # seconds, on a machine that has much else to do; one that does not start ends at once
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # nobody can open these: what can be opened for them
# Milliseconds after which the kernel gives up a client that takes nothing of what it asked for (Linux).
_UNTAKEN = 30_000


class _Listening(socket.socket):
    """A socket that takes so many connections at once, and closes those that come then.

    Before it comes to that, whoever comes takes the place of the one that has asked nothing for longest.
    """

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 (as the library's own)
        super().__init__(*args)
        # By their numbers, the oldest first.
        self._taken: dict[int, socket.socket] = {}
        self._silent: dict[int, socket.socket] = {}

    def accept(self) -> tuple[socket.socket, Any]:
        """Takes the next connection.

        Raises:
            ConnectionAbortedError: It was closed, as there are too many.
        """
        connection, address = super().accept()
        self._taken, self._silent = (
            {n: one for n, one in there.items() if one.fileno() >= 0} for there in (self._taken, self._silent)
        )
        if len(self._taken) >= _TAKEN:
            connection.close()
            raise ConnectionAbortedError
        if self._silent and len(self._taken) >= _CONNECTIONS - 1:  # of the last one the request gets 503
            oldest = self._silent.pop(next(iter(self._silent)))
            with contextlib.suppress(OSError):  # its client has gone
                oldest.shutdown(socket.SHUT_RDWR)  # asyncio sees that it ends, and closes it
        self._taken[connection.fileno()] = self._silent[connection.fileno()] = connection
        return connection, address

    def has_asked(self, number: int) -> None:
        """Notes that a whole request has come by the connection of this number."""
        self._silent.pop(number, None)


class _Protocol(H11Protocol):
    """HTTP/1.1 that closes connections which send no request: else a few of them keep everybody out.

    The first request, and each later one from its first byte on, has so long to come; so has what is left of
    a body that was answered before it was there.
    """

    def __init__(self, listening: _Listening, **given: Any) -> None:  # noqa: ANN401 (as the library's own)
        super().__init__(**given)
        self._listening = listening

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._number: int = transport.get_extra_info("socket").fileno()
        self._deadline: asyncio.TimerHandle | None = None
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._answer_begins()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except h11.ProtocolError:  # its request broke off while the answer went out: nobody is left to tell
            self.transport.close()
            return
        if self._is_answering():
            self._listening.has_asked(self._number)
            self._answer_begins()
        elif self._deadline is None:
            self._expect()

    def _expect(self) -> None:
        self._deadline = self.loop.call_later(_REQUEST, self._close_if_silent)

    def _answer_begins(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _close_if_silent(self) -> None:
        self._deadline = None
        if not (self._is_answering() or self.transport.is_closing()):
            self.transport.close()


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Tells whether the server's log says something of us: not of a client that broke off in its request."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not issubclass(kind, h11.ProtocolError)


class WebServer:
    """Serves the page and the interface.

    Args:
        context: The service.
        certificate: File of a TLS certificate; with `key`.
        key: File of its key.

    Raises:
        InputError: The address cannot be listened at, or the certificate not be used.
    """

    def __init__(self, context: WebContext, certificate: Path | None = None, key: Path | None = None) -> None:
        web = context.settings.web
        self._context = context
        self._files = certificate, key
        _check_certificate(certificate, key)
        self._socket = _bind(web.listen)
        host, port = self._socket.getsockname()[:2]
        self.is_everywhere = host in _EVERYWHERE
        """Whether it listens at all addresses of this machine."""
        host = _EVERYWHERE.get(host, host)
        scheme = "https" if certificate else "http"
        self.address = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
        """Where it is reached; of all addresses, the one that every machine has for itself."""
        config = uvicorn.Config(
            make_app(context),
            # It makes one for each connection, and only names a class in its types.
            http=functools.partial(_Protocol, self._socket),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # what is no HTTP is not worth a line each
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=_IDLE,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=_HEADER_BYTES,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        config.load()
        logging.getLogger("uvicorn.error").addFilter(_is_worth_a_line)  # once, however many servers there are
        self._tls = config.ssl
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="edge-lpr page", daemon=True)

    def start(self) -> None:
        """Begins to serve; returns once requests are answered.

        Raises:
            BackendError: It does not start.
        """
        self._thread.start()
        until = time.monotonic() + _START
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                raise BackendError(f"{self.address}: the page's server does not start")
            time.sleep(0.01)

    def stop(self, deadline: float = 2.0) -> bool:
        """Ends it: what is being answered has a second to be done; may be called twice.

        Args:
            deadline: Seconds.

        Returns:
            Whether it has ended.
        """
        self._context.is_over = True
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(deadline)
        self._socket.close()
        self._context.close()
        return not self._thread.is_alive()

    def reload_certificate(self) -> None:
        """Reads certificate and key again, as they are renewed; new connections get them.

        Raises:
            InputError: They cannot be used; those before stay.
        """
        certificate, key = self._files
        if self._tls is not None and certificate is not None:
            _check_certificate(certificate, key)
            load_certificate(self._tls, certificate, key)

    def _run(self) -> None:
        with contextlib.suppress(SystemExit):  # uvicorn's way to say that it cannot start
            # asyncio's own loop: it asks our socket for connections, others ask the system.
            asyncio.run(self._serve())

    async def _serve(self) -> None:
        if self._tls is not None:
            # asyncio gives one that says nothing a minute, and uvicorn has no setting for it.
            loop = asyncio.get_running_loop()
            create = functools.partial(loop.create_server, ssl_handshake_timeout=_REQUEST)
            loop.create_server = create  # type: ignore[method-assign]
        await self._server.serve(sockets=[self._socket])


def _bind(listen: str) -> _Listening:
    host, port = host_and_port(listen)
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = _Listening(family, kind, proto)
    except OSError as e:
        raise InputError(f'[web] listen = "{listen}": {one_line(e)}') from e
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # taken over by its connections
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNTAKEN)
        made.bind(address)
        made.listen(_CONNECTIONS)
    except OSError as e:
        made.close()
        raise InputError(
            f'[web] listen = "{listen}": {one_line(e)}; expected an address of this machine and a free port'
        ) from e
    made.setblocking(False)
    return made


def _check_certificate(certificate: Path | None, key: Path | None) -> None:
    if certificate is None:
        return
    try:
        load_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate, key)
    except (OSError, ValueError) as e:  # SSLError is an OSError
        raise InputError(
            f"[web] certificate {certificate}, key {key}: {one_line(e)}; expected two files in PEM"
        ) from e
