"""What a service manager is told: systemd's sd_notify(3), which is a datagram to a socket that it names."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

__all__ = ["ServiceManager"]


class ServiceManager:
    """Whoever started this process as a service and wants to hear from it; says nothing where nobody does.

    Args:
        environment: Where `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` are looked up.

    Attributes:
        watchdog: Seconds within which it wants to hear that all is well; None where it does not.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        if not self._address.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
            self._address = ""
        self.watchdog: float | None = None
        wanted, who = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        if self._address and wanted.isdecimal() and int(wanted) > 0 and who in ("", str(os.getpid())):
            self.watchdog = int(wanted) / 1e6

    def notify(self, *lines: str) -> None:
        """Tells it something: "READY=1", "WATCHDOG=1", "STOPPING=1", "STATUS=…".

        Who does not listen any more is no fault of this run.
        """
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            try:
                channel.sendto("\n".join(lines).encode(), address)
            except OSError:
                return
