"""Cameras, addresses and pipelines: always at their newest frame, and tried again for as long as it takes.

A process of its own opens and decodes each (`CameraProcess`); a thread here follows what it tells. Whatever
goes wrong there is a loss of the source, which ends nothing: it is opened anew.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from edge_lpr.backoff import backoff
from edge_lpr.counting import counted
from edge_lpr.errors import SourceError, one_line
from edge_lpr.io.camera_process import CameraProcess
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.decoder import end_notes
from edge_lpr.io.frame_queue import LOST, FrameQueue, WaitingFrame
from edge_lpr.io.frames import Frame, PolledSource
from edge_lpr.io.targets import Target

__all__ = ["LiveSource"]

_FIRST_PAUSE = 1.0  # seconds before a lost source is tried again; see `backoff`
_STEADY = 10.0  # a source that was there for so many seconds is tried again as one that was never lost
_START = 120.0  # seconds that a process may take to start, on a machine that has much else to do
_SLACK = 1.0  # seconds by which OpenCV's own time limit goes first, as it knows more
_GRACE = 1.5  # seconds that the thread gets to end
# What Python raises where the machine has no file, process, thread or memory for the moment.
_SHORTAGES = (OSError, RuntimeError, MemoryError, ValueError)


class LiveSource(PolledSource):
    """A camera, address or pipeline, opened in the background: it is there as soon as it can be reached.

    Args:
        target: What to open; again for each reconnection.
        options: See `CaptureOptions`.
        live: Whether it is live; None finds out: what knows its number of frames is read like a file, from
            the first frame to the last.
        on_warning: See `Source`.
        expected: End of the sentence "cannot be opened: …".
    """

    def __init__(
        self,
        target: Target,
        options: CaptureOptions,
        live: bool | None,
        on_warning: Callable[[str], None],
        expected: str,
    ) -> None:
        super().__init__(target.label, on_warning)
        self.live = live is not False
        self.state = "opening"
        self._target = target
        self._options = options
        self._wanted = live
        self._expected = expected
        self._queue = FrameQueue()
        self._notes: deque[str] = deque()
        self._stop = threading.Event()
        self._raised = False
        self._process: CameraProcess | None = None
        self._t0: float | None = None
        self._left_out = 0  # frames for which there was no room to wait
        self._before = self._counts()  # over the connections before this one
        self._thread = threading.Thread(target=self._run, name=f"edge-lpr {self.label}", daemon=True)
        self._thread.start()

    # What the reader's thread calls.

    def read(self, wait: float = 0.0) -> Frame | None:
        """See `PolledSource.read`."""
        waiting = self._queue.take(wait)
        while self._notes:
            self.on_warning(self._notes.popleft())
        if waiting == LOST:
            self.losses += 1
            return None
        if not isinstance(waiting, WaitingFrame):
            if self._queue.ended and self.failure is not None and not self._raised:
                self._raised = True
                raise self.failure
            return None
        try:
            image = waiting.image.copy()
        except MemoryError:
            waiting.process.kill("out of memory")  # a loss as any other
            return None
        waiting.free()
        return Frame(image, waiting.index, waiting.time, self.label, waiting.wall)

    @property
    def ended(self) -> bool:
        """See `PolledSource.ended`."""
        told = self.failure is None or self._raised
        return self._queue.ended and not self._notes and told

    @property
    def decoder(self) -> int | None:
        """The number of the process that decodes; None before the first."""
        return None if self._process is None else self._process.pid

    def now(self) -> float | None:
        """See `PolledSource.now`."""
        return None if self._t0 is None or not self.live else time.monotonic() - self._t0

    def stop(self) -> None:
        """Has the source and its process end, wherever they are, and does not wait for that."""
        self._stop.set()
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> None:
        """Ends the source and its process; may be called twice."""
        self.stop()
        self._thread.join(_GRACE)
        self._queue.clear()

    # What runs in the thread that follows the process.

    def _run(self) -> None:
        try:
            self._follow_all()
        except SourceError as e:
            self.state = "source lost"
            self.failure = e
        finally:
            self._queue.end()
            self._wake()

    def _follow_all(self) -> None:
        """Opens the source again and again, until it ends or is given up."""
        failures, gone_since = 0, time.monotonic()
        while True:
            before, began = self.received, time.monotonic()
            self._before = self._counts()
            reason = self._follow_one(gone_since)
            if self._stop.is_set():
                self.state = "done"
                return
            if reason is None:  # a video that has an end
                return
            now, was_there = time.monotonic(), self.received > before
            if was_there:
                self._queue.put(LOST)
                gone_since = now
                failures = 0 if now - began > _STEADY else failures
            left = gone_since + self._options.reconnect - now
            if left <= 0:
                self._give_up(reason)
                return
            if was_there:
                self._say(f"{self._lost()} ({reason}); trying to reach it again")
            elif self.state == "opening":
                self._say(f"{self.label}: {reason}; trying to reach it")
            self.state = "trying again"
            self._wake()
            failures += 1
            self._stop.wait(min(backoff(failures, _FIRST_PAUSE, self._options.max_pause), left))

    def _give_up(self, reason: str) -> None:
        limit = self._options.reconnect
        if not self.received:
            kept = f"; not reached within {limit:g} s" if limit > 0 else ""
            raise SourceError(f"{self.label}: {reason}{kept}")
        self.state = "source lost"
        self._say(f"{self._lost()} and not back within {limit:g} s" if limit > 0 else self._lost())

    def _lost(self) -> str:
        return f"{self.label}: source lost after {counted(self.received, 'frames')}"

    def _follow_one(self, gone_since: float) -> str | None:
        """Opens the source once and hands on its frames; returns why that is over, None for a video's end."""
        try:
            process = self._process = CameraProcess(self._target, self._options, self._wanted)
        except _SHORTAGES as e:
            return f"its decoder cannot be started ({one_line(e, 120)})"
        try:
            return self._listen(process, gone_since)
        except _SHORTAGES as e:
            reason = f"its frames cannot be taken ({one_line(e, 120)})"
            return reason if self.live else self._over({"reason": reason}, 0)
        finally:
            process.close()

    def _listen(self, process: CameraProcess, gone_since: float) -> str | None:
        timeout, before = self._options.timeout, self.received
        no_answer = f"no answer within {timeout:g} s; check address and network, or allow more with --timeout"
        pause = 0.0
        until, late = time.monotonic() + _START, f"its decoder has not started within {_START:g} s"
        while not self._stop.is_set():
            told = process.receive(min(until - time.monotonic(), 0.5))
            if told is None:
                if time.monotonic() < until:
                    continue
                return late if self.live else self._over({"reason": late}, before)
            what, more = told
            if what == "begun":
                late = no_answer
            elif what == "refused":
                slow = more["seconds"] >= 0.95 * timeout
                return no_answer if slow else f"cannot be opened: {self._expected}"
            elif what == "opened":
                late = f"no frame for {timeout:g} s"
                self.live, self.fps, self.total = more["live"], more["fps"], more["total"]
                pause = more["pause"]
            elif what == "frame":
                self._take(process, more, gone_since)
            elif what == "alive":
                self._count(more)
            else:
                return self._over(more, before)
            until = time.monotonic() + timeout + pause + _SLACK
        return ""

    def _over(self, told: dict[str, Any], before: int) -> str | None:
        """Takes in that there is no more, as far as the process still could tell; returns as `_listen`."""
        reason: str = told["reason"]
        if "received" in told:
            self._count(told)
        if not self.live:
            self._end_video(told, reason)
            return None
        if told.get("done"):
            self.state = "done"
            return None
        return reason if self.received > before else f"cannot be opened: {reason}"

    def _take(self, process: CameraProcess, told: dict[str, Any], gone_since: float) -> None:
        """Takes a frame in: of a camera, in place of the one that waits."""
        image, index = process.view(told), self._before["received"] + told["index"]
        if self.live and self._t0 is None:
            self._t0, self.started = told["now"], told["wall"]
            self._wanted = True  # what was live stays so
        if self.state != "open":
            if self.state == "trying again":
                verb = "back" if self._before["received"] else "reached"
                self._say(f"{self.label}: {verb} after {time.monotonic() - gone_since:.0f} s")
            self.state = "open"
        seconds, wall = told["seconds"], None
        if self.live and self._t0 is not None:
            seconds, wall = told["now"] - self._t0, told["wall"]
            self.last_frame = wall
        waiting = WaitingFrame(process, told["slot"], image, index, seconds, wall)
        self._count(told)  # before it: whoever takes the frame finds it among those received
        self._queue.put(waiting, newest=self.live)
        self.dropped = self._queue.passed_over + self._left_out
        self._wake()

    def _counts(self) -> dict[str, int]:
        return {"received": self.received, "skipped": self.skipped, "left_out": self._left_out}

    def _count(self, told: dict[str, Any]) -> None:
        self.received = self._before["received"] + told["received"]
        self.skipped = self._before["skipped"] + told["skipped"]
        self._left_out = self._before["left_out"] + told["left_out"]
        self.dropped = self._queue.passed_over + self._left_out

    def _end_video(self, told: dict[str, Any], reason: str) -> None:
        """Ends a video that an address gave."""
        if not self.received:
            why = f" ({reason})" if reason else ""
            raise SourceError(
                f"{self.label}: opened, but no frame of it can be decoded: damaged, or a file whose index is "
                f"at its end, from a server that gives no parts of files; download it, and read the file{why}"
            )
        early = bool(told.get("early"))
        self._notes.extend(end_notes(self.label, self.received, told.get("promised", 0), self.skipped, early))
        if reason:
            self._notes.append(f"{self._lost()} ({reason}); what they show was read")
        self.state = "ends early" if early or reason else "done"

    def _say(self, line: str) -> None:
        self._notes.append(line)
        self._wake()

    def _wake(self) -> None:
        if self.wake is not None:
            self.wake.set()
