"""A file behind an http address."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def file_server(data: bytes, name: str = "a.mkv") -> Iterator[str]:
    """Gives one file to everybody; yields its address.

    Args:
        data: The file.
        name: What the address calls it.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def serve() -> None:
            server.settimeout(0.1)
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection, suppress(OSError):  # who asks may leave before the end
                    connection.recv(4096)
                    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
                    connection.sendall(head.encode() + data)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/{name}"
        finally:
            stop.set()
            thread.join()
