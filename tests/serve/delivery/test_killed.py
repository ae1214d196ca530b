"""kill -9 in the middle of delivering: afterwards each receiver has each event, and each file has it once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from helpers.children import with_helpers
from helpers.extras import reason
from helpers.mosquitto import Listener, broker
from helpers.passages import record
from helpers.receiver import Receiver, Request
from helpers.waiting import wait_until

pytest.importorskip("httpx", reason=reason("httpx", "serve"))
pytest.importorskip("paho.mqtt", reason=reason("paho.mqtt", "serve"))
pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

from helpers.deliveries import Service

from edge_lpr.serve.output_settings import FilesSettings, MqttSettings, OutputSettings, WebhookSettings

PASSAGES, REVISIONS = 100, 3
KILLS = 4
# Queues events and delivers them meanwhile, until it is killed; goes on where the one before it was killed.
CODE = """
import json, sys, time
from pathlib import Path
from pydantic import TypeAdapter
from helpers.deliveries import Service
from helpers.passages import record
from edge_lpr.serve.output_settings import OutputSettings
folder = Path(sys.argv[1])
outputs = TypeAdapter(dict[str, OutputSettings]).validate_json(sys.argv[2])
with Service(folder, outputs) as service:
    with service.database.transaction() as tx:
        tx.execute("CREATE TABLE IF NOT EXISTS events (passage TEXT, revision INTEGER)")
    there = service.database.reader().execute("SELECT COUNT(*) FROM events").fetchone()[0]
    print(there, flush=True)
    for number in range(there, int(sys.argv[3])):
        one = record(f"p{number // 3}", number % 3 + 1)
        with service.database.transaction() as tx:
            tx.execute("INSERT INTO events VALUES (?, ?)", (one.id, one.revision))
            service.queues.offer(tx, one)
        service.queues.wake()
    time.sleep(1000)
"""


def expected() -> set[tuple[str, int]]:
    return {(f"p{number}", rev + 1) for number in range(PASSAGES) for rev in range(REVISIONS)}


def pairs(bodies: list[bytes]) -> list[tuple[str, int]]:
    return [(one["id"], one["revision"]) for one in map(json.loads, bodies)]


def in_order(found: list[tuple[str, int]]) -> bool:
    """Whether the records of each passage came in their order, repeats aside."""
    revisions: dict[str, list[int]] = {}
    for passage, revision in dict.fromkeys(found):
        revisions.setdefault(passage, []).append(revision)
    return all(of_one == sorted(of_one) for of_one in revisions.values())


def test_each_event_arrives_whatever_kills_the_process(tmp_path: Path) -> None:
    def slow(_: Request) -> tuple[int, dict[str, str]]:
        time.sleep(0.003)
        return 200, {}

    with broker(tmp_path) as started, Listener(started.port) as listener, Receiver(slow) as receiver:
        outputs: dict[str, OutputSettings] = {
            "hook": WebhookSettings(type="webhook", url=receiver.url, max_pause=1),
            "mqtt": MqttSettings(type="mqtt", host="127.0.0.1", port=started.port),
            "lines": FilesSettings(type="files", folder="lines"),
            "table": FilesSettings(type="files", folder="table", form="csv"),
        }
        given = json.dumps({name: one.model_dump() for name, one in outputs.items()})
        command = [sys.executable, "-c", CODE, str(tmp_path), given, str(PASSAGES * REVISIONS)]
        heard = listener.heard["edge-lpr/events/gate"]
        interrupted = 0
        for kill in range(KILLS):
            enough = len(receiver.requests) + 15 + 7 * kill
            process = subprocess.Popen(command, env=with_helpers(), stdout=subprocess.PIPE)
            try:
                # In the middle of delivering, and each time elsewhere in it.
                wait_until(lambda enough=enough: len(receiver.requests) >= enough, 0.001)  # type: ignore[misc]
            finally:
                process.send_signal(signal.SIGKILL)
                process.communicate()
            with Service(tmp_path, {}) as left:
                interrupted += left.waiting > 0
        assert interrupted == KILLS, "nothing was left to deliver after a kill"
        with Service(tmp_path, outputs) as service:
            rest = service.database.reader().execute("SELECT COUNT(*) FROM events").fetchone()[0]
            numbers = range(rest, PASSAGES * REVISIONS)
            service.offer(*(record(f"p{number // 3}", number % 3 + 1) for number in numbers))
            wait_until(lambda: service.waiting == 0)
        wait_until(lambda: set(pairs(heard)) == expected())
        posted = pairs([request.body for request in receiver.requests])
        published = pairs(list(heard))
    for found in (posted, published):
        assert set(found) == expected()
        assert in_order(found)
        # At most what was on its way when it was killed comes again.
        assert len(found) <= len(expected()) + KILLS
    (lines,) = (tmp_path / "lines").iterdir()
    written = pairs(lines.read_bytes().splitlines())
    assert in_order(written)
    assert Counter(written) == Counter(expected())
    (table,) = (tmp_path / "table").iterdir()
    rows = [line.split(",")[:2] for line in table.read_text(encoding="utf-8-sig").splitlines()[1:]]
    assert Counter((a.strip('"'), int(b.strip('"'))) for a, b in rows) == Counter(expected())
