"""What has still to be told to whom: a queue on disk for each output.

A record is queued in the transaction that writes it, so that it is either kept and on its way, or neither. It
leaves the queue after its receiver has said that it has it. A process that dies between the two tells it
once more when it starts again: at least once, and `id` with `revision` shows a repeat.
"""

from __future__ import annotations

import json
import logging
import random
import secrets
import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import closing

from edge_lpr.counting import counted
from edge_lpr.errors import one_line
from edge_lpr.masking import masked
from edge_lpr.serve.database import Database
from edge_lpr.serve.delivery import interest
from edge_lpr.serve.delivery.items import Counts, DeliveryError, Item
from edge_lpr.serve.delivery.retry_state import RetryState
from edge_lpr.serve.output_settings import Target
from edge_lpr.serve.record import PassageRecord
from edge_lpr.serve.settings import ListSettings

__all__ = ["SCHEMA", "Queues"]

SCHEMA: tuple[str, ...] = (
    """CREATE TABLE IF NOT EXISTS queue (
        number INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, passage TEXT NOT NULL,
        revision INTEGER NOT NULL, body TEXT NOT NULL, queued REAL NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS queue_order ON queue (target, number)",
    """CREATE TABLE IF NOT EXISTS queue_counts (
        target TEXT PRIMARY KEY, waiting INTEGER NOT NULL DEFAULT 0, delivered INTEGER NOT NULL DEFAULT 0,
        dropped INTEGER NOT NULL DEFAULT 0, given_up INTEGER NOT NULL DEFAULT 0)""",
    "CREATE TABLE IF NOT EXISTS queue_identity (one INTEGER PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL)",
    *interest.SCHEMA,
)
_WAITING = (
    "SELECT number, target, passage, revision, body, queued FROM queue WHERE target = ? ORDER BY number"
)
_HOUR = 3600.0
_MAX_PAUSE = 60.0  # of outputs whose settings have none

_logger = logging.getLogger("edge_lpr")


class Queues:
    """The queues of all outputs.

    Args:
        database: Made with `SCHEMA` among its tables.
        targets: The outputs by name.
        lists: The lists by name, for which output each one names.
        chance: Where chance comes from.
    """

    def __init__(
        self,
        database: Database,
        targets: Mapping[str, Target],
        lists: Mapping[str, ListSettings] | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._database = database
        self._chance = chance or random.Random()
        self._began = time.monotonic()
        self._more = threading.Condition()
        self._changes = 0
        self._states: dict[str, RetryState] = {}
        self._targets: dict[str, Target] = {}
        newest = database.reader().execute("SELECT COALESCE(MAX(number), 0) FROM queue").fetchone()
        self._before = int(newest[0])  # items up to here are of an earlier process
        self.reload(targets, lists or {})

    def reload(self, targets: Mapping[str, Target], lists: Mapping[str, ListSettings]) -> None:
        """Takes other outputs and lists; what is queued stays queued, that of an output that is gone too."""
        before, self._targets = self._targets, dict(targets)
        for name, target in targets.items():
            if before.get(name, target) != target:
                self._state(name).anew()
        self._interest = interest.Interest(self._targets, lists)
        for name, waiting in self.depths().items():
            if waiting and name not in self._targets:
                why = "is not in the configuration any more"
                _logger.warning("output %s %s: %s waiting until it is", name, why, counted(waiting, "events"))
        self.wake()

    def offer(self, tx: sqlite3.Connection, record: PassageRecord) -> None:
        """Queues a record for every output that wants it, in the transaction that keeps it.

        Args:
            tx: The transaction; see `Database.transaction`. Call `wake` after it.
            record: The record.
        """
        body = ""
        for name, target in self._interest.outputs(tx, record):
            body = body or json.dumps(record.to_dict(), ensure_ascii=False, allow_nan=False)
            tx.execute(
                "INSERT INTO queue (target, passage, revision, body, queued) VALUES (?, ?, ?, ?, ?)",
                (name, record.id, record.revision, body, time.time()),
            )
            _count(tx, name, waiting=1)
            self._bound(tx, name, target.queue)

    def wake(self) -> None:
        """Has `wait` return: something was queued, or has changed."""
        with self._more:
            self._changes += 1
            self._more.notify_all()

    def changes(self) -> int:
        """Returns how often `wake` was called: to be asked before `next`, and handed to `wait`."""
        return self._changes

    def wait(self, changes: int, seconds: float) -> None:
        """Waits until `wake` is called, if it was not since `changes`; so many seconds at most."""
        with self._more:
            self._more.wait_for(lambda: self._changes != changes, seconds)

    def next(self, target: str, now: float) -> Item | None:
        """Returns what an output is to be told next.

        Records of one passage come in their order, each after the one before it was taken. One that its
        receiver does not take holds up its own passage and no other.

        Args:
            target: The output's name.
            now: `time.monotonic()`.

        Returns:
            The record; None where none waits, or none yet.
        """
        state = self._state(target)
        if state.taken and not self._erase(target, state.taken, "delivered"):
            return None
        if now < state.until:
            return None
        late: list[Item] = []
        found: Item | None = None
        with closing(self._database.reader().execute(_WAITING, (target,))) as rows:
            # The first that is found of a passage is its oldest.
            for item in (Item(*row) for row in rows):
                if self._is_late(item):
                    late.append(item)
                elif not state.holds(item.id, now):
                    found = item
                    break
        if late:
            self._give_up(late, _too_late(self._targets[target]))
        return found

    def done(self, item: Item) -> None:
        """Takes out what the receiver has."""
        state = self._state(item.target)
        if state.over(item.id):
            _logger.warning("output %s: delivers again", item.target)
        state.taken.add(item.number)
        self._erase(item.target, state.taken, "delivered")

    def failed(self, item: Item, error: DeliveryError) -> None:
        """Has a record wait for its next try, or gives it up.

        Args:
            item: The record.
            error: Why it was not delivered.
        """
        target, state, now = self._targets.get(item.target), self._state(item.target), time.monotonic()
        reason = masked(error.reason)
        if error.final:
            self._give_up([item], reason)
            return
        if self._is_late(item):
            assert target is not None
            self._give_up([item], f"{_too_late(target)}: {reason}")
            return
        pause = state.failed(item.id, error, float(getattr(target, "max_pause", _MAX_PAUSE)), now)
        if state.said.may_say("failing", now):
            _logger.warning("output %s: %s; tried again in %.1f s", item.target, reason, pause)

    def tended(self, target: str, trouble: str) -> None:
        """Notes what is wrong with an output whether an event waits for it or not; "" where nothing is."""
        self._state(target).beside = trouble

    def retry_now(self, target: str) -> None:
        """Ends an output's pause: its receiver is known to be back."""
        self._state(target).until = 0.0
        self.wake()

    def pause(self, target: str, now: float) -> float:
        """Returns the seconds after which `next` may have something again, whatever is queued meanwhile."""
        return self._state(target).next_time(now)

    def depths(self) -> dict[str, int]:
        """Returns how many events wait, by output."""
        return {name: counts.waiting for name, counts in self.counts().items()}

    def counts(self) -> dict[str, Counts]:
        """Returns what became of the events of each output, since the database was made."""
        found = {name: Counts(failing=self._state(name).told) for name in self._targets}
        for name, waiting, delivered, dropped, given_up in self._database.reader().execute(
            "SELECT target, waiting, delivered, dropped, given_up FROM queue_counts"
        ):
            found[name] = Counts(waiting, delivered, dropped, given_up, self._state(name).told)
        return found

    def failing(self) -> dict[str, str]:
        """Returns what is wrong with outputs, by name; those that deliver are not among them."""
        told = {name: self._state(name).told for name in list(self._targets)}
        return {name: masked(why) for name, why in told.items() if why}

    def identity(self) -> str:
        """Returns the name by which receivers know this service again: 12 hexadecimal digits."""
        ask = "SELECT name FROM queue_identity"
        found = self._database.reader().execute(ask).fetchone()
        if found is None:
            with self._database.transaction() as tx:
                tx.execute("INSERT OR IGNORE INTO queue_identity VALUES (1, ?)", (secrets.token_hex(6),))
                found = tx.execute(ask).fetchone()
        return str(found[0])

    def _state(self, target: str) -> RetryState:
        return self._states.setdefault(target, RetryState(self._chance))

    def _bound(self, tx: sqlite3.Connection, name: str, most: int) -> None:
        waiting = tx.execute("SELECT waiting FROM queue_counts WHERE target = ?", (name,)).fetchone()[0]
        if waiting <= most:
            return
        gone = tx.execute(
            "DELETE FROM queue WHERE number IN "
            "(SELECT number FROM queue WHERE target = ? ORDER BY number LIMIT ?)",
            (name, waiting - most),
        ).rowcount
        _count(tx, name, waiting=-gone, dropped=gone)
        state = self._state(name)
        if state.said.may_say("full", time.monotonic()):
            waiting = counted(most, "events")
            _logger.warning("output %s: %s waiting, as many as may; older ones are dropped", name, waiting)

    def _erase(self, target: str, numbers: set[int], became: str) -> bool:
        """Takes records out; where the disk does not take that, they stay in `numbers` for the next time."""
        try:
            with self._database.transaction() as tx:
                for number in numbers:
                    if tx.execute("DELETE FROM queue WHERE number = ?", (number,)).rowcount:
                        _count(tx, target, waiting=-1, **{became: 1})
        except sqlite3.Error as e:
            state, now = self._state(target), time.monotonic()
            state.until = now + 1
            if state.said.may_say("disk", now):
                _logger.warning("output %s: the queue cannot be written: %s", target, one_line(e))
            return False
        numbers.clear()
        return True

    def _give_up(self, items: list[Item], why: str) -> None:
        name, first = items[0].target, items[0]
        what = f"event {first.id}/{first.revision} is" if len(items) == 1 else f"{len(items)} events are"
        _logger.warning("output %s: %s given up: %s", name, what, why)
        for item in items:
            self._state(name).forget(item.id)
        self._erase(name, {item.number for item in items}, "given_up")

    def _is_late(self, item: Item) -> bool:
        """Whether an event is not to be told any more, as nobody took it for so long."""
        target = self._targets.get(item.target)
        if target is None or not target.keep_trying:
            return False
        age = time.time() - item.queued
        if item.number > self._before:
            # A clock that is set meanwhile makes none older than this process.
            age = min(age, time.monotonic() - self._began)
        return age >= target.keep_trying * _HOUR


def _too_late(target: Target) -> str:
    return f"not within {counted(f'{target.keep_trying:g}', 'hours')}"


def _count(tx: sqlite3.Connection, target: str, **changes: int) -> None:
    tx.execute("INSERT OR IGNORE INTO queue_counts (target) VALUES (?)", (target,))
    names = ", ".join(f"{name} = {name} + ?" for name in changes)
    tx.execute(f"UPDATE queue_counts SET {names} WHERE target = ?", (*changes.values(), target))
