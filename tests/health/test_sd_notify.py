"""What a service manager hears, through real sockets."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from edge_lpr.health.sd_notify import ServiceManager


def test_lines_are_one_datagram(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        ServiceManager({"NOTIFY_SOCKET": address}).notify("READY=1", "STATUS=车 1")
        assert manager.recv(4096).decode() == "READY=1\nSTATUS=车 1"


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_an_abstract_socket() -> None:
    name = f"edge-lpr-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        ServiceManager({"NOTIFY_SOCKET": "@" + name}).notify("WATCHDOG=1")
        assert manager.recv(4096) == b"WATCHDOG=1"


def test_who_does_not_listen_is_no_error(tmp_path: Path) -> None:
    ServiceManager({}).notify("READY=1")
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).notify("READY=1")
    ServiceManager({"NOTIFY_SOCKET": "vsock:2:1234"}).notify("READY=1")
    address = str(tmp_path / "full")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        for _ in range(2000):  # one that does not read does not hold the run up
            ServiceManager({"NOTIFY_SOCKET": address}).notify("WATCHDOG=1")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_how_often_it_wants_to_hear(environment: dict[str, str], expected: float | None) -> None:
    assert ServiceManager({"NOTIFY_SOCKET": "/run/x", **environment}).watchdog == expected
    assert ServiceManager(environment).watchdog is None
