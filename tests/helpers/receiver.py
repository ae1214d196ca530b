"""A real HTTP receiver that fails, is away, and comes back."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from helpers.held_port import held_port


@dataclass(frozen=True)
class Request:
    """What was asked.

    Attributes:
        path: The path with its query.
        headers: The headers.
        body: The body.
    """

    path: str
    headers: Message
    body: bytes


Answer = tuple[int, dict[str, str]]


class Receiver:
    """An HTTP server on a port that stays its own; a context manager.

    Args:
        answer: Says what a request is answered; 200 where None.
        context: Of TLS; plain HTTP where None.

    Attributes:
        requests: All that came, in its order.
    """

    def __init__(
        self, answer: Callable[[Request], Answer] | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        self._answer = answer or (lambda request: (200, {}))
        self._context = context
        self.requests: list[Request] = []
        self._connections: list[socket.socket] = []
        self._held = held_port()
        self.port: int = self._held.getsockname()[1]
        self._server = self._listen(self.port)
        self._thread = self._serve()

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}/hook"

    def stop(self) -> None:
        """Goes away: who asks is refused."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    def start(self) -> None:
        """Comes back at the same port."""
        self._server = self._listen(self.port)
        self._thread = self._serve()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._held.close()

    def _serve(self) -> threading.Thread:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        thread.start()
        return thread

    def _listen(self, port: int) -> ThreadingHTTPServer:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                receiver._connections.append(self.request)
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = Request(self.path, self.headers, body)
                status, headers = receiver._answer(request)
                receiver.requests.append(request)
                self.send_response(status)
                for name, value in {"Content-Length": "2", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        server = Server(("127.0.0.1", port), Handler)
        if self._context is not None:
            server.socket = self._context.wrap_socket(server.socket, server_side=True)
        return server
