"""A run that is watched, with a real socket and a real file."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.waiting import wait_until

from edge_lpr.errors import EdgeLprError, SettingError
from edge_lpr.health.activity import Activity
from edge_lpr.health.monitor import Monitor
from edge_lpr.health.sd_notify import ServiceManager
from edge_lpr.health.status import STATUS_FIELDS, Run
from edge_lpr.health.watchdog import Watchdog
from edge_lpr.io.frames import Source


class Manager:
    """A service manager that listens all the time."""

    def __init__(self, path: Path) -> None:
        self.heard: list[str] = []
        self._marks = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0.05)
        self._stop = False
        self.service = ServiceManager({"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "300000"})
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while not self._stop:
            try:
                self.heard.append(self._socket.recv(4096).decode())
            except TimeoutError:
                continue

    def count(self, line: str) -> int:
        """How often a line was sent so far: all that was is heard before what is sent now."""
        self._marks += 1
        mark = f"MARK={self._marks}"
        self.service.notify(mark)
        wait_until(lambda: mark in self.heard)
        return self.heard.count(line)

    def close(self) -> None:
        self._stop = True
        self._thread.join()
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    listening = Manager(tmp_path / "notify")
    yield listening
    listening.close()


def monitored(
    lines: list[str], give_up: Callable[[str], None] = print, limit: float = 10.0, **options: Any
) -> tuple[Run, Monitor]:
    run = Run(1_700_000_000.0, "tiny: ONNX Runtime on cpu", Activity("the models"))
    return run, Monitor(run, Watchdog([run.activity], limit, lines.append), lines.append, give_up, **options)


def status(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_the_status_is_written_at_the_start_each_second_and_at_the_end(
    tmp_path: Path, a_source: Callable[..., Source]
) -> None:
    path = tmp_path / "状态.json"
    run, monitor = monitored([], status=path)
    source = a_source("cam", live=True)
    source.received, source.losses, source.last_frame, source.state = 9, 2, 1_700_000_001.25, "trying again"
    with monitor:
        first = status(path)
        assert list(first) == [name for name, _, _ in STATUS_FIELDS]
        assert (first["state"], first["exit_code"], first["sources"]) == ("running", None, [])
        assert first["started"] == "2023-11-14T22:13:20.000Z" and first["updated"] > "2024"
        run.sources, run.frames, run.results = [source], 7, 3
        wait_until(lambda: status(path)["frames"] == 7)
        assert status(path)["sources"] == [
            {
                "source": "cam", "state": "trying again", "frames": 9, "dropped": 0, "skipped": 0,
                "losses": 2, "last_frame": "2023-11-14T22:13:21.250Z",
            }
        ]  # fmt: skip
        monitor.exit_code = 2
    assert (status(path)["state"], status(path)["exit_code"]) == ("ended", 2)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (EdgeLprError("x"), 1), (SettingError("x"), 2), (RuntimeError("x"), 1)],
)
def test_how_a_run_ended_is_known(tmp_path: Path, error: BaseException, code: int) -> None:
    path = tmp_path / "status.json"
    _, monitor = monitored([], status=path)
    with pytest.raises(type(error)), monitor:
        raise error
    assert status(path)["exit_code"] == code


def test_a_service_manager_hears_nothing_while_work_is_stuck(manager: Manager, tmp_path: Path) -> None:
    lines: list[str] = []
    given_up: list[str] = []
    go_on = threading.Event()

    def give_up(who: str) -> None:  # the command's own ends the process
        given_up.append(who)
        go_on.wait()

    path = tmp_path / "status.json"
    run, monitor = monitored(lines, give_up, 0.4, status=path, manager=manager.service)
    with monitor:
        monitor.ready()
        wait_until(lambda: "WATCHDOG=1" in manager.heard)
        assert manager.heard[0] == "READY=1\nSTATUS=0 of 0 sources there, 0 frames, 0 results"
        with run.activity:
            wait_until(lambda: lines)
            alive = manager.count("WATCHDOG=1")
            wait_until(lambda: given_up)
            assert manager.count("WATCHDOG=1") == alive and given_up == ["the models"]
            assert status(path)["exit_code"] == 1
            assert "STOPPING=1\nSTATUS=the models do not answer" in manager.heard
        go_on.set()
        wait_until(lambda: manager.heard.count("WATCHDOG=1") > alive)
    assert manager.count("STOPPING=1") == 1 and manager.heard[-2] == "STOPPING=1"


def test_a_service_manager_hears_nothing_before_the_run_is_ready(manager: Manager) -> None:
    _, monitor = monitored([], manager=manager.service)
    with monitor:
        time.sleep(0.3)
        assert manager.count("WATCHDOG=1") == 0
        monitor.ready()
        wait_until(lambda: "WATCHDOG=1" in manager.heard)
    assert manager.heard[1].startswith("READY=1")


def test_a_status_that_cannot_be_written_is_told_once_and_goes_on(tmp_path: Path) -> None:
    lines: list[str] = []
    _, monitor = monitored(lines, status=tmp_path / "later" / "status.json")
    with monitor:
        monitor.write("running")
        monitor.write("running")
        assert len(lines) == 1 and "later/status.json: cannot be written" in lines[0]
        (tmp_path / "later").mkdir()
        monitor.write("running")
    assert status(tmp_path / "later" / "status.json")["state"] == "ended" and len(lines) == 1
