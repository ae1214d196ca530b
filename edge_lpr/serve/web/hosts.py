"""Which names the page answers to.

A site can have its own name point at this machine after its page is loaded (DNS rebinding), and would then
read ours as its own. Its requests still carry its name. An address cannot be rebound.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence

from edge_lpr.serve.web.auth import host_and_port, is_loopback

__all__ = ["is_host", "is_our_host", "is_our_origin", "is_this_machine"]

_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,252}[a-z0-9_])?", re.ASCII)


def is_our_host(header: str, listen: str, hosts: Sequence[str]) -> bool:
    """Tells whether a Host header names this service.

    Args:
        header: The header, with or without a port.
        listen: Where the service listens.
        hosts: Other names of it, as the configuration has them.

    Returns:
        Whether it is an address (of loopback, where it listens there alone), localhost, the name that it
        listens at, the machine's own where it listens elsewhere, or one of `hosts`.
    """
    host = _without_port(header)
    if not host:
        return False
    own, _ = host_and_port(listen)
    local = is_loopback(listen)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        names = {"localhost", own.lower(), *map(_known, hosts)}
        if not local:
            machine = socket.gethostname().lower()
            names |= {machine, f"{machine.partition('.')[0]}.local"}
        return host in names
    return address.is_loopback or not local or host in set(map(_known, hosts))


def is_our_origin(origin: str, host: str, hosts: Sequence[str]) -> bool:
    """Tells whether an Origin header is of a page of ours.

    Args:
        origin: The header.
        host: The request's Host header.
        hosts: Other names of the service, as the configuration has them.
    """
    scheme, mark, rest = origin.partition("://")
    if not mark or scheme not in ("http", "https"):
        return False
    named = _without_port(rest)
    return _port_too(rest, scheme) == _port_too(host, scheme) or named in set(map(_known, hosts))


def is_this_machine(header: str) -> bool:
    """Tells whether a Host header is a name of whatever machine the browser runs on."""
    host = _without_port(header)
    return host.rpartition(".")[2] == "localhost" or (
        _is_address(host) and ipaddress.ip_address(host).is_loopback
    )


def is_host(name: str) -> bool:
    """Tells whether a name of the configuration can be one that a browser asks for."""
    host = _known(name)
    return bool(_NAME.fullmatch(host)) or (":" in host and _is_address(host))


def _known(name: str) -> str:
    """Returns a name of the configuration as browsers send it: "bär.example" as "xn--br-via.example"."""
    host = _without_port(name)
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _without_port(header: str) -> str:
    host = header.strip().lower().rstrip(".")
    if host.startswith("["):
        inner, bracket, port = host[1:].partition("]")
        return inner if bracket and (not port or _is_port(port)) else ""
    if host.count(":") == 1:
        name, _, port = host.partition(":")
        return name.rstrip(".") if _is_port(f":{port}") else ""
    return host


def _is_port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isascii() and text[1:].isdigit()


def _port_too(host: str, scheme: str) -> tuple[str, str]:
    bare = _without_port(host)
    port = host.rpartition(":")[2] if not host.endswith("]") and ":" in host else ""
    return bare, port or {"http": "80", "https": "443"}[scheme]
