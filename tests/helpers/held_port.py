"""A port of 127.0.0.1 that stays one test's own, also while nobody listens at it."""

from __future__ import annotations

import socket

__all__ = ["held_port"]


def held_port() -> socket.socket:
    """Returns a socket that holds a free port and does not listen: who connects is refused.

    A server that sets SO_REUSEADDR listens there beside it, as often as it is started; the system gives the
    port to no other process meanwhile, neither to listen at nor for a connection that goes out.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held
