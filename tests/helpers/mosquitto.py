"""A real MQTT broker, Debian's mosquitto, on a free port."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from helpers.held_port import held_port
from helpers.waiting import LONG, wait_until

_BINARY = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Broker:
    """A broker that is stopped and started as often as a test wants.

    Args:
        folder: Where its files are.
        extra: Lines of its configuration: users, certificates, rights.
    """

    def __init__(self, folder: Path, *extra: str) -> None:
        self._held = held_port()
        self.port: int = self._held.getsockname()[1]
        self._log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            *(extra or ["allow_anonymous true"]),
            "persistence true",
            f"persistence_location {folder}/",
            "user root",
        ]
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, on the same port with what it kept."""
        assert _BINARY is not None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([_BINARY, "-c", str(self._config)], stdout=log, stderr=log)
        process = self._process

        def answers() -> bool:
            assert process.poll() is None, self._log.read_text(encoding="utf-8")
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return True
            return False

        wait_until(answers)

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text(encoding="utf-8")

    def pause(self) -> None:
        """Has it hang: it keeps its connections, and answers nobody."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """Ends it; what is retained is there when it starts again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGCONT)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Ends it for good."""
        self.stop()
        self._held.close()


@contextmanager
def broker(folder: Path, *extra: str) -> Iterator[Broker]:
    """Runs a broker; skips the test where there is none.

    Args:
        folder: Where its files are.
        extra: Lines of its configuration in place of "allow_anonymous true".
    """
    if _BINARY is None:
        pytest.skip("needs mosquitto (Debian: apt-get install mosquitto)")
    started = Broker(folder, *extra)
    try:
        started.start()
        yield started
    finally:
        started.close()


class Listener:
    """Somebody who hears all that a broker is told.

    Attributes:
        heard: Payloads by topic, in their order.
        retained: The topics whose payload stood there before it came.
    """

    def __init__(self, port: int) -> None:
        import paho.mqtt.client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        self.heard: defaultdict[str, list[bytes]] = defaultdict(list)
        self.retained: set[str] = set()
        self._lock = threading.Lock()
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe("#", 2)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(LONG)

    def _hear(self, client: object, data: object, message: object) -> None:
        topic: str = message.topic  # type: ignore[attr-defined]
        with self._lock:
            self.heard[topic].append(message.payload)  # type: ignore[attr-defined]
            if message.retain:  # type: ignore[attr-defined]
                self.retained.add(topic)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
