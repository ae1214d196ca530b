"""The clock by which the age of what is kept is measured: no clock that is set makes anything older.

A clock can be wrong: that of a machine without a battery begins in 1970 and is set right later, and a time
server, or a person, may set it years ahead. So the age of an event is not taken from its own time: it is
counted how long ago it was written. While the service runs, that goes by a clock that nobody sets. How long
it did not run, the machine's clock alone can tell: that is taken in slowly, so that somebody can mend it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from edge_lpr.serve.database import Database

__all__ = ["SCHEMA", "AgeClock"]

SCHEMA: tuple[str, ...] = (
    "CREATE TABLE IF NOT EXISTS ages (at REAL PRIMARY KEY, agreed REAL NOT NULL, sequence INTEGER NOT NULL)",
)
"""Up to which `sequence` was written when, by this clock, and what the machine's showed when it was at 0."""
_HOUR, _DAY = 3600.0, 86_400.0
# So many times as fast as time itself it runs until it has caught up with the machine's clock: a machine that
# is off for three quarters of the day keeps pace, and one that is wrong for a day makes all older by three.
_SPEED = 4.0
_LONGEST_OFF = 366 * _DAY  # a service that did not run for longer has a clock that was set

_logger = logging.getLogger("edge_lpr")


def _steady() -> float:
    """Returns seconds that nobody sets, those among them in which the machine was asleep."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class AgeClock:
    """Counts on from where the last service stopped; any thread may ask it.

    Args:
        database: Made with `SCHEMA` among its tables.
        wall: The machine's clock, seconds since the epoch.
        steady: Seconds of a clock that is never set.

    Attributes:
        ahead: Seconds by which the machine's clock says that more time has gone than was taken in yet.
        state: What is said of that where it is a day and more; "" where it is not.
    """

    def __init__(
        self,
        database: Database,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = _steady,
    ) -> None:
        self.ahead = 0.0
        self.state = ""
        self._database = database
        self._wall = wall
        self._steady = steady
        self._lock = threading.Lock()
        self._base = steady()
        self._marked: float | None = None
        reader = database.reader()
        newest = float(reader.execute("SELECT COALESCE(MAX(written), 0) FROM pictures").fetchone()[0])
        row = reader.execute("SELECT at, agreed FROM ages ORDER BY at DESC LIMIT 1").fetchone()
        self._at = max(newest, wall() if row is None else row["at"])
        self._agreed = wall() - self._at if row is None else float(row["agreed"])

    def now(self) -> float:
        """Returns the seconds of this clock: as a rule those since the epoch, and never fewer than before."""
        with self._lock:
            return self._at + self._steady() - self._base

    def advance(self) -> float:
        """Takes in what the machine's clock says; to be called every few minutes.

        Returns:
            See `now`.

        Raises:
            sqlite3.OperationalError: The database cannot be written; the next call goes on.
        """
        with self._lock:
            steady = self._steady()
            elapsed = steady - self._base
            at = self._at + elapsed
            ahead = self._wall() - at - self._agreed
            if not 0 <= ahead <= _LONGEST_OFF:
                if abs(ahead) > _HOUR:
                    set_by = ahead / _DAY
                    _logger.info("the clock was set by %.1f days: what is kept is no older for it", set_by)
                self._agreed += ahead
                ahead = 0.0
            step = min(ahead, (_SPEED - 1) * elapsed)
            self._at, self._base, self.ahead = at + step, steady, ahead - step
            self._tell()
        if self._marked is None or self._at >= self._marked + _HOUR:
            self._mark()
        return self._at

    def written_until(self, moment: float) -> int:
        """Returns the last `sequence` that was surely written up to a moment of this clock; 0 for none."""
        row = (
            self._database.reader()
            .execute("SELECT sequence FROM ages WHERE at <= ? ORDER BY at DESC LIMIT 1", (moment,))
            .fetchone()
        )
        return 0 if row is None else int(row["sequence"])

    def forget_until(self, moment: float) -> None:
        """Forgets what nobody asks for any more: all but the last mark up to a moment.

        Raises:
            sqlite3.OperationalError: The database cannot be written.
        """
        with self._database.transaction() as tx:
            tx.execute("DELETE FROM ages WHERE at < (SELECT MAX(at) FROM ages WHERE at <= ?)", (moment,))

    def _mark(self) -> None:
        with self._database.transaction() as tx:
            tx.execute(
                "INSERT OR REPLACE INTO ages SELECT ?, ?, last FROM sequences", (self._at, self._agreed)
            )
        self._marked = self._at

    def _tell(self) -> None:
        days = self.ahead / _DAY
        state = ""
        if days >= 1:
            state = (
                f"the clock says that {days:.0f} days have gone in which the service did not run: what is "
                f"kept grows old {_SPEED:g} times as fast until that is made up; set the clock if it is wrong"
            )
        if state and not self.state:
            _logger.warning("%s", state)
        self.state = state
