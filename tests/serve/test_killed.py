"""Kill −9 in the middle of events, at moments of chance: what is in the database is whole each time."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.children import with_helpers
from helpers.stored_passages import database, noted
from helpers.waiting import LONG

from edge_lpr.serve.database import Database
from edge_lpr.serve.store import EventStore, Query, StoredEvent

DRIVER = """
import sys
from pathlib import Path
from helpers.stored_passages import Clock, NotingQueues, database, frame, settings, track
from edge_lpr.serve.lists import Lists
from edge_lpr.serve.passages import Passages
from edge_lpr.serve.pictures import Pictures
from edge_lpr.serve.settings import RetentionSettings

folder, start = Path(sys.argv[1]), int(sys.argv[2])
clock = Clock()
base = database(folder / "events.db")
pictures = Pictures(folder / "pictures", RetentionSettings.model_validate({"free_gigabytes": 0}))
passages = Passages(base, pictures, Lists(), NotingQueues(), settings(same_plate_within=2), clock)
passages.listeners.append(lambda record: print(record.id, record.revision, record.state, flush=True))
print("ready", flush=True)
for number in range(start, start + 100_000):
    clock.now += 1
    name = f"track-{number}"
    text = "京A" + str(10_000 + number % 10_000)
    passages.take("gate", track(text, "new", name), frame())
    passages.take("gate", track(text[:-1] + "A", "update", name), frame())
    passages.take("gate", track(text[:-1] + "A", "end", name), None)
    passages.tick()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_killed_at_any_moment_each_event_is_whole(tmp_path: Path) -> None:
    rng = random.Random(17)
    told: list[tuple[str, int, str]] = []
    for round_ in range(6):
        command = [sys.executable, "-c", DRIVER, str(tmp_path), str(round_ * 100_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=with_helpers()) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            # So many events later, however long they take, and somewhere in the next one.
            lines = [process.stdout.readline() for _ in range(rng.randint(5, 40))]
            time.sleep(rng.uniform(0.0, 0.02))
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.read().splitlines(keepends=True)
            assert process.wait(LONG) == -signal.SIGKILL
        for line in lines:
            if line.endswith("\n"):
                name, revision, state = line.split()
                told.append((name, int(revision), state))
        _check(tmp_path, told)
    assert len(told) > 50
    # One more start, and nothing is open.
    done = subprocess.run(
        [sys.executable, "-c", DRIVER.split('print("ready"', maxsplit=1)[0], str(tmp_path), "0"],
        env=with_helpers(),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    base = database(tmp_path / "events.db")
    assert {one.record.state for one in _all(base)} == {"end"}
    base.close()


def _all(base: Database) -> list[StoredEvent]:
    return list(EventStore(base).every(Query(limit=1000)))


def _check(folder: Path, told: list[tuple[str, int, str]]) -> None:
    """Of each passage revisions 1, 2, … were offered, each once, first new and last end, as it is kept."""
    base = database(folder / "events.db")
    offered: dict[str, list[tuple[int, str]]] = {}
    for name, revision, state in noted(base):
        offered.setdefault(name, []).append((revision, state))
    kept = {one.record.id: one.record for one in _all(base)}
    rows = {row["event"]: row["path"] for row in base.reader().execute("SELECT event, path FROM pictures")}
    base.close()
    assert offered.keys() == kept.keys()
    for name, revisions in offered.items():
        assert [number for number, _ in revisions] == list(range(1, len(revisions) + 1)), name
        states = [state for _, state in revisions]
        assert states[0] == "new" and states.count("new") == 1 and "end" not in states[:-1], name
        assert (kept[name].revision, kept[name].state) == revisions[-1], name
        assert name in rows and (folder / "pictures" / kept[name].crop).is_file(), name
    # What anybody was told is there.
    for name, revision, state in told:
        assert (revision, state) in offered[name]
