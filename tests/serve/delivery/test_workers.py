"""A thread for each output: none waits for another, and none is ended by what nobody thought of."""

from __future__ import annotations

import logging
import sqlite3
import sys
import threading
import time
from pathlib import Path

import pytest
from helpers.extras import reason
from helpers.passages import record
from helpers.receiver import Receiver, Request
from helpers.waiting import LONG, wait_until

pytest.importorskip("httpx", reason=reason("httpx", "serve"))
pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

from helpers.deliveries import Service

from edge_lpr.errors import InputError
from edge_lpr.serve.delivery import workers
from edge_lpr.serve.delivery.items import Item
from edge_lpr.serve.delivery.sender import Sender
from edge_lpr.serve.output_settings import CommandSettings, FilesSettings, OutputSettings, WebhookSettings

FILES = FilesSettings(type="files", folder="out")


def hook(url: str) -> WebhookSettings:
    return WebhookSettings(type="webhook", url=url, max_pause=1)


def test_an_output_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    go_on = threading.Event()

    def hangs(_: Request) -> tuple[int, dict[str, str]]:
        go_on.wait(100)
        return 200, {}

    with Receiver(hangs) as receiver:
        outputs: dict[str, OutputSettings] = {"hook": hook(receiver.url), "out": FILES}
        with Service(tmp_path, outputs) as service:
            service.offer(*(record(f"p{number}") for number in range(20)))
            wait_until(lambda: service.queues.depths()["out"] == 0)
            assert service.queues.depths()["hook"] == 20
            go_on.set()
            wait_until(lambda: service.waiting == 0)


def test_what_can_be_delivered_when_it_ends_is_delivered(tmp_path: Path) -> None:
    with Receiver() as receiver, Service(tmp_path, {"hook": hook(receiver.url)}) as service:
        service.offer(*(record(f"p{number}") for number in range(10)))
        service.deliveries.stop(60, 60)
        assert service.waiting == 0


def test_what_cannot_be_delivered_when_it_ends_stays_and_nobody_waits_for_it(tmp_path: Path) -> None:
    with Receiver() as receiver:
        receiver.stop()
        with Service(tmp_path, {"hook": hook(receiver.url)}) as service:
            service.offer(record())
            wait_until(lambda: service.queues.counts()["hook"].failing)
            began = time.monotonic()
            service.deliveries.stop(60, 60)
            assert time.monotonic() - began < 30
            assert service.waiting == 1
        receiver.start()
        with Service(tmp_path, {"hook": hook(receiver.url)}) as service:
            wait_until(lambda: service.waiting == 0)


def test_an_end_does_not_wait_for_who_hangs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    code = "import time; from pathlib import Path; Path('at work').touch()\n"
    code += "while Path('at work').exists(): time.sleep(0.02)"
    command = CommandSettings(type="command", command=[sys.executable, "-c", code], timeout=LONG)
    with Service(tmp_path, {"run": command}) as service:
        service.offer(record())
        wait_until((tmp_path / "at work").exists)
        (delivering,) = (one for one in threading.enumerate() if one.name == "output run")
        began = time.monotonic()
        with caplog.at_level(logging.WARNING, "edge_lpr"):
            service.deliveries.stop(0, 1)
        assert time.monotonic() - began < LONG / 2  # what hangs has LONG
        assert "run: is left in the middle of an event, which stays queued" in caplog.text
        assert service.waiting == 1
        (tmp_path / "at work").unlink()
        delivering.join(LONG)  # before the database is closed


def test_outputs_that_stay_the_same_are_not_disturbed(tmp_path: Path) -> None:
    with Receiver() as one, Receiver() as other:
        with Service(tmp_path, {"same": FILES, "moves": hook(one.url)}) as service:
            before = dict(service.deliveries._deliverers)
            outputs: dict[str, OutputSettings] = {"same": FILES, "moves": hook(other.url)}
            service.queues.reload(outputs, {})
            service.deliveries.start(outputs)
            assert service.deliveries._deliverers["same"] is before["same"]
            assert service.deliveries._deliverers["moves"] is not before["moves"]
            service.offer(record())
            wait_until(lambda: service.waiting == 0)
        assert (len(one.requests), len(other.requests)) == (0, 1)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux's list of open files")
def test_other_settings_again_and_again_leave_nothing_open(tmp_path: Path) -> None:
    def opened() -> int:
        return len([one for one in Path("/proc/self/fd").iterdir() if _leads_to(one, "events.sqlite")])

    with Service(tmp_path, {}) as service:
        counts: list[int] = []
        for number in range(6):
            outputs: dict[str, OutputSettings] = {
                name: FilesSettings(type="files", folder=f"{name}-{number}") for name in ("a", "b", "c")
            }
            service.queues.reload(outputs, {})
            service.deliveries.start(outputs)
            service.offer(record(f"p{number}"))
            wait_until(lambda: service.waiting == 0)
            counts.append(opened())
        # Those that have ended meanwhile are closed with the next that is opened.
        assert max(counts[2:]) <= 2 * counts[0], counts


def _leads_to(file: Path, name: str) -> bool:
    try:
        return file.readlink().name == name
    except OSError:
        return False


def test_settings_that_cannot_be_used_change_nothing(tmp_path: Path) -> None:
    with Receiver() as receiver, Service(tmp_path, {"hook": hook(receiver.url)}) as service:
        with pytest.raises(InputError, match=r"outputs\.new\.url"):
            service.deliveries.start({"hook": FILES, "new": hook("nonsense")})
        service.offer(record())
        wait_until(lambda: service.waiting == 0)
        assert len(receiver.requests) == 1


def test_what_nobody_thought_of_ends_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    taken: list[str] = []

    class Odd(Sender):
        tended = 0

        def send(self, item: Item) -> None:
            if item.id == "odd" and not taken:
                raise ZeroDivisionError("password=abcdefgh")
            taken.append(item.id)

        def tend(self) -> None:
            self.tended += 1
            if self.tended == 1:
                raise sqlite3.OperationalError("disk I/O error")

        def close(self, seconds: float) -> None:
            raise ZeroDivisionError

    monkeypatch.setattr(workers, "make_sender", lambda *_: Odd())
    with caplog.at_level(logging.WARNING, "edge_lpr"), Service(tmp_path, {"x": FILES}) as service:
        service.offer(record("odd"), record("even"))
        wait_until(lambda: service.waiting == 0)
    assert taken == ["even", "odd"]
    assert "output x: OperationalError: disk I/O error" in caplog.text
    assert "output x: ZeroDivisionError: password=***" in caplog.text
