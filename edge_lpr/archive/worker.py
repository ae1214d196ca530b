"""What one reader does with a unit: it reads and commits it, and tells how it went."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2

from edge_lpr._version import __version__
from edge_lpr.archive.attempts import Attempt
from edge_lpr.archive.job import Job
from edge_lpr.archive.passages import rows_of_video
from edge_lpr.archive.pictures import read_pictures
from edge_lpr.archive.segments import read_segment
from edge_lpr.archive.store import Store
from edge_lpr.archive.units import Unit
from edge_lpr.errors import BackendError, EdgeLprError, InputError

__all__ = ["Actor", "Done", "Orders", "Worker"]


@dataclass(frozen=True)
class Orders:
    """What each reader of a run is told.

    Attributes:
        out: The archive's folder.
        job: What is read, and how.
        threads: Of models on the CPU, and of FFmpeg.
        retries: See `ReaderSettings`.
        tool: The version of the kit that gives them.
    """

    out: str
    job: dict[str, Any]
    threads: int = 1
    retries: int = 2
    tool: str = __version__


@dataclass(frozen=True)
class Done:
    """What became of a unit.

    Attributes:
        unit: Its identifier.
        frames: Pictures or frames in it.
        rows: Rows that were written with it: those of a video with its last segment.
        failures: Sources that could not be read, or not wholly.
        seconds: How long it took.
        cpu: For how long its process has computed, in seconds of one core.
        process: The number of the process that did it.
        reader: What reads there.
    """

    unit: str
    frames: int
    rows: int
    failures: int
    seconds: float
    cpu: float
    process: int
    reader: str


class Actor:
    """A `Worker` as Ray Data has it: units come and go as JSON, and errors are such as can be sent.

    Args:
        orders: What it is told.

    Raises:
        EdgeLprError: As for `Worker`.
    """

    def __init__(self, orders: Orders) -> None:
        with _sent():
            self._worker = Worker(orders)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Does a unit."""
        with _sent():
            return {"done": json.dumps(asdict(self._worker.do(Unit.from_json(row["unit"]))))}


class Worker:
    """A reader that takes one unit after the other.

    Args:
        orders: What it is told.

    Raises:
        EdgeLprError: The reader cannot be opened, or the folder of the archive is not seen from here.
    """

    def __init__(self, orders: Orders) -> None:
        if orders.tool != __version__:
            raise InputError(
                f"edge-lpr {__version__} is installed on a machine of the cluster, and {orders.tool} here"
            )
        self._orders = orders
        self._store = Store(Path(orders.out))
        if not self._store.plan.is_file():
            raise InputError(
                f"{orders.out}: not seen from each machine of the cluster; --out is a folder that all share"
            )
        self._job = Job.from_dict(orders.job)
        cv2.setNumThreads(orders.threads)
        self._reader = self._job.open_reader(orders.threads)

    def do(self, unit: Unit) -> Done:
        """Reads and commits a unit; one that is committed is left as it is.

        With the last segment of a video that is committed, the video's rows are.

        Args:
            unit: The unit.

        Raises:
            EdgeLprError: The models fail, or nothing can be written.
        """
        began, computed = time.monotonic(), time.process_time()
        rows, failures = 0, 0
        if not self._store.is_done(unit):
            with Attempt(self._store.attempts_path(unit), self._orders.retries) as attempt:
                rows, failures = self._segment(unit, attempt) if unit.video else self._pictures(unit, attempt)
        if unit.video:
            rows = self._join(unit)
        return Done(
            unit=unit.id,
            frames=unit.frames,
            rows=rows,
            failures=failures,
            seconds=round(time.monotonic() - began, 3),
            cpu=round(time.process_time() - computed, 3),
            process=os.getpid(),
            reader=self._reader.description,
        )

    def _join(self, unit: Unit) -> int:
        """Commits a video's rows where all its segments are there, and no other has; returns how many."""
        if self._store.rows_path(unit.day, unit.video).exists():
            return 0
        segments = self._store.segments_of(unit.video)
        if not self._store.are_there(segments):
            return 0
        with suppress(FileNotFoundError):  # another reader has joined them in the meantime
            rows = rows_of_video(segments, self._store, self._reader)
            self._store.commit_rows(unit.day, unit.video, rows, ())
            self._store.drop_segments(segments)
            return len(rows)
        return 0

    def _pictures(self, unit: Unit, attempt: Attempt) -> tuple[int, int]:
        job = self._job
        rows, failures = read_pictures(
            unit,
            self._reader,
            attempt,
            max_pixels=job.max_pixels,
            retries=self._orders.retries,
            crops=job.crops,
        )
        self._store.commit_rows(unit.day, unit.id, rows, failures)
        return len(rows), len(failures)

    def _segment(self, unit: Unit, attempt: Attempt) -> tuple[int, int]:
        job = self._job
        frames, told, failures = read_segment(
            unit,
            self._reader,
            attempt,
            options=job.capture,
            retries=self._orders.retries,
            crops=job.crops,
            threads=self._orders.threads,
        )
        self._store.commit_segment(unit, frames, told, failures)
        return 0, len(failures)

    def close(self) -> None:
        """Frees the models."""
        self._reader.close()


@contextmanager
def _sent() -> Iterator[None]:
    """Makes errors of ours such as another process can put together again: of a message alone."""
    try:
        yield
    except EdgeLprError as e:
        kind = InputError if isinstance(e, InputError) else BackendError
        raise kind(str(e)) from None
