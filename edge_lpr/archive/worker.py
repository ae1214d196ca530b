"""What one reader does with a unit: it reads and commits it, and tells how it went."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2

from edge_lpr._version import __version__
from edge_lpr.archive.attempts import Attempt
from edge_lpr.archive.job import Job
from edge_lpr.archive.models import made_ready
from edge_lpr.archive.passages import rows_of_video
from edge_lpr.archive.pictures import read_pictures
from edge_lpr.archive.places import place_of
from edge_lpr.archive.segments import read_segment
from edge_lpr.archive.store import Store
from edge_lpr.archive.units import Failure, Unit
from edge_lpr.errors import BackendError, EdgeLprError, InputError

__all__ = ["Actor", "Orders", "UnitResult", "Worker", "error_of", "error_text", "try_worker"]


@dataclass(frozen=True)
class Orders:
    """What each reader of a run is told.

    Attributes:
        out: The archive's folder.
        job: What is read, and how.
        threads: Of models on the CPU, and of FFmpeg.
        retries: See `ReaderSettings`.
        tool: The version of the kit that gives them.
        fetch: Whether a machine that lacks the models takes, or makes, its own: on a cluster.
    """

    out: str
    job: dict[str, Any]
    threads: int = 1
    retries: int = 2
    tool: str = __version__
    fetch: bool = False


@dataclass(frozen=True)
class UnitResult:
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
    """A `Worker` as Ray Data has it: units and what became of them come and go as JSON, and so do errors.

    What an actor raises as it is made, Ray tries again for minutes, and then tells of itself: that a worker
    cannot be opened is therefore told with the first unit.

    Args:
        orders: What it is told.
    """

    def __init__(self, orders: Orders) -> None:
        self._worker: Worker | EdgeLprError
        try:
            self._worker = Worker(orders)
        except EdgeLprError as e:
            self._worker = e

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Does a unit; returns what became of it as `done`, or why nothing can as `error`."""
        try:
            if isinstance(self._worker, EdgeLprError):
                raise self._worker
            return {"done": json.dumps(asdict(self._worker.do(Unit.from_json(row["unit"])))), "error": ""}
        except EdgeLprError as e:
            return {"done": "", "error": error_text(e)}


def try_worker(orders: Orders) -> str:
    """Opens a worker once, as a task of Ray's; returns the text of the error, "" where there is none."""
    try:
        Worker(orders).close()
    except EdgeLprError as e:
        return error_text(e)
    return ""


def error_text(error: EdgeLprError) -> str:
    """Writes an error down, for another process; `error_of` makes it again."""
    kind = "InputError" if isinstance(error, InputError) else "BackendError"
    return json.dumps({"kind": kind, "said": str(error), "machine": platform.node()})


def error_of(text: str, cluster: bool) -> EdgeLprError:
    """Returns the error that `error_text` wrote.

    Args:
        text: What it wrote.
        cluster: Whether the message names the machine.
    """
    told = json.loads(text)
    said = f"{told['said']} (on {told['machine']})" if cluster else told["said"]
    return InputError(said) if told["kind"] == "InputError" else BackendError(said)


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
        self._store = Store(place_of(orders.out))
        if not self._store.plan.is_file():
            raise InputError(
                f"{orders.out}: not seen from each machine of the cluster; --out is a folder that all share, "
                "or an object store"
            )
        self._job = Job.from_dict(orders.job)
        if orders.fetch:
            self._job = made_ready(self._job, self._store.models)
        cv2.setNumThreads(orders.threads)
        self._reader = self._job.open_reader(orders.threads)

    def do(self, unit: Unit) -> UnitResult:
        """Reads and commits a unit; one that is committed is left as it is.

        With the last segment of a video that is committed, the video's rows are. Of one that is marked to be
        read again, only what failed of it is read where it is of pictures, and rows that are there stay
        until those that take their place are.

        Args:
            unit: The unit.

        Raises:
            EdgeLprError: The models fail, or nothing can be written.
        """
        began, computed = time.monotonic(), time.process_time()
        rows, failures = 0, 0
        if not self._store.is_done(unit):
            with Attempt(self._store.notes(unit), self._orders.retries) as attempt:
                rows, failures = self._segment(unit, attempt) if unit.video else self._pictures(unit, attempt)
        if unit.video:
            rows = self._join(unit)
        return UnitResult(
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
        store = self._store
        if store.is_joined(unit):
            return 0
        segments = store.segments_of(unit.video)
        if not store.are_there(segments):
            return 0
        with suppress(FileNotFoundError):  # another reader has joined them in the meantime
            again = store.is_again(unit.video)
            found = [store.segment_failures(segment) for segment in segments] if again else []
            before = [store.failures.of(segment.id) for segment in segments] if again else []
            worse = any(_harm(now) > _harm(then) for now, then in zip(found, before, strict=True))
            rows = [] if worse else rows_of_video(segments, store, self._reader)
            if not worse:
                store.write_rows(unit.day, unit.video, rows)
                for segment, failures in zip(segments, found, strict=False):
                    store.failures.note(segment.id, failures)
            store.unmark(unit.video)
            store.drop_segments(segments)
            return len(rows)
        return 0

    def _pictures(self, unit: Unit, attempt: Attempt) -> tuple[int, int]:
        job, store = self._job, self._store
        again = store.is_again(unit.id) and store.rows_path(unit.day, unit.id).exists()
        failed = {failure.source for failure in store.failures.of(unit.id)} if again else set()
        rows, failures = read_pictures(
            replace(unit, files=tuple(f for f in unit.files if f.name in failed)) if again else unit,
            self._reader,
            attempt,
            max_pixels=job.max_pixels,
            retries=self._orders.retries,
            crops=job.crops,
        )
        if not again:
            store.commit_rows(unit.day, unit.id, rows, failures)
            store.unmark(unit.id)
            return len(rows), len(failures)
        place = {file.name: number for number, file in enumerate(unit.files)}
        kept = [row for row in store.read_rows(unit.day, unit.id) if row["source"] not in failed]
        both = sorted(
            [*kept, *rows], key=lambda row: place[row["source"]]
        )  # of one picture: as they were read
        # The rows first: what is killed in between is read once more, and nothing is there twice.
        store.write_rows(unit.day, unit.id, both)
        store.failures.note(unit.id, failures)
        store.unmark(unit.id)
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


def _harm(failures: Sequence[Failure]) -> int:
    """Returns how much of a segment is missing: nothing, some frames, or all."""
    return max((1 + failure.lost for failure in failures), default=0)
