"""The folder of an archive: what of it is committed, written so that it is there whole or not at all.

A unit is committed where its file has its name: ``day=2026-11-27/ID.parquet`` for rows, and for a segment of
a video, until the video's rows are there, ``_archive/segments/ID.parquet``. There is no other list of what is
done that could say something else. A file that is written twice, because a machine was taken for lost and
went on, is the same file. What failed and is to be read again has a mark, ``_archive/again/ID``, until it is
committed again: older rows stay until then.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from edge_lpr.archive.failures import Failures
from edge_lpr.archive.notes import Notes, notes_at
from edge_lpr.archive.places import (
    Place,
    create,
    opened,
    read_table,
    read_whole,
    remove_all,
    write_table,
    write_whole,
)
from edge_lpr.archive.schema import reads_schema, rows_schema
from edge_lpr.archive.units import Failure, Unit
from edge_lpr.errors import InputError, one_line
from edge_lpr.io.file_names import PART
from edge_lpr.io.walk import unreadable

__all__ = ["Store"]

_OWN = "_archive"  # a name that readers of data sets pass over


class Store:
    """One archive's folder.

    Args:
        folder: The folder, here or in an object store; it need not be there yet.

    Attributes:
        folder: As given.
        plan: The file of what the run is asked for.
        units: The file of its units.
        failures: What could not be read.
        models: The folder of models for machines that lack them.
    """

    def __init__(self, folder: Place) -> None:
        self.folder = folder
        self._own = folder / _OWN
        self.plan = self._own / "plan.json"
        self.units = self._own / "units.parquet"
        self.failures = Failures(self._own)
        self.models = self._own / "models"
        self._known: tuple[str, list[Unit]] = "", []

    def create(self) -> None:
        """Creates the folders.

        Raises:
            OutputError: They cannot be written.
        """
        for name in ("", "segments", "failures", "attempts", "again"):
            create(self._own / name)

    def rows_path(self, day: str, name: str) -> Place:
        """Returns the file of a unit's or video's rows."""
        return self.folder / f"day={day}" / f"{name}.parquet"

    def segment_path(self, unit: Unit) -> Place:
        """Returns the file of a segment's reads."""
        return self._own / "segments" / f"{unit.id}.parquet"

    def attempts_path(self, unit: Unit) -> Place:
        """Returns the file in which readers say what of a unit they are at."""
        return self._own / "attempts" / unit.id

    def notes(self, unit: Unit) -> Notes:
        """Returns what readers say of a unit that they are at."""
        return notes_at(self.attempts_path(unit))

    def is_again(self, name: str) -> bool:
        """Tells whether a unit of pictures, or a video, is to be read again where it failed."""
        return self._again(name).exists()

    def is_done(self, unit: Unit) -> bool:
        """Tells whether a unit is committed, by itself or as a part of its video, and not marked."""
        name = unit.video or unit.id
        if self.rows_path(unit.day, name).exists() and not self.is_again(name):
            return True
        return bool(unit.video) and self.segment_path(unit).exists()

    def is_joined(self, unit: Unit) -> bool:
        """Tells whether a video's rows are committed, those of what is read again too."""
        return self.rows_path(unit.day, unit.video).exists() and not self.is_again(unit.video)

    def done(self, units: Iterable[Unit]) -> set[str]:
        """Returns the identifiers of those of some units that are committed; looks into each folder once."""
        rows = {path.stem for path in self.folder.glob("day=*/*.parquet")} - self.marked()
        segments = {path.stem for path in (self._own / "segments").glob("*.parquet")}
        return {u.id for u in units if (u.video or u.id) in rows or (u.video and u.id in segments)}

    def marked(self) -> set[str]:
        """Returns the units of pictures, and the videos, that are to be read again where they failed."""
        return {path.name for path in (self._own / "again").glob("*")}

    def mark(self, units: Iterable[Unit]) -> None:
        """Has units of pictures, and all segments of videos, read again where they failed.

        Raises:
            OutputError: That cannot be written.
        """
        names = set()
        for unit in units:
            names.add(unit.video or unit.id)
            if unit.video:  # of a run that was killed as it took them away
                self.segment_path(unit).unlink(missing_ok=True)
        for name in sorted(names):
            write_whole(self._again(name), b"", durable=False)

    def unmark(self, name: str) -> None:
        """Forgets that something is to be read again."""
        self._again(name).unlink(missing_ok=True)

    def _again(self, name: str) -> Place:
        return self._own / "again" / name

    def commit_rows(
        self, day: str, name: str, rows: Sequence[dict[str, Any]], failures: Sequence[Failure]
    ) -> None:
        """Writes the rows of a unit or video, and what of it could not be read.

        Raises:
            OutputError: They cannot be written.
        """
        self.failures.note(name, failures)
        self.write_rows(day, name, rows)

    def write_rows(self, day: str, name: str, rows: Sequence[dict[str, Any]]) -> None:
        """Writes the rows of a unit or video.

        Raises:
            OutputError: They cannot be written.
        """
        write_table(self.rows_path(day, name), pa.Table.from_pylist([*rows], rows_schema()))

    def read_rows(self, day: str, name: str) -> list[dict[str, Any]]:
        """Returns the rows of a unit or video that is committed.

        Raises:
            FileNotFoundError: They are not there.
            InputError: They are damaged.
        """
        path = self.rows_path(day, name)
        with _whole(path), opened(path) as file:
            rows: list[dict[str, Any]] = read_table(file).to_pylist()
        return rows

    def commit_segment(
        self, unit: Unit, frames: Sequence[dict[str, Any]], told: dict[str, Any], failures: Sequence[Failure]
    ) -> None:
        """Writes the reads of a segment.

        Args:
            unit: The segment.
            frames: Its frames, as `reads_schema` has them.
            told: What is to be known of it beside them.
            failures: What of it could not be read. Of a video that is read again they are noted with its
                rows: it may go worse this time.

        Raises:
            OutputError: They cannot be written.
        """
        if not self.is_again(unit.video):
            self.failures.note(unit.id, failures)
        told = {**told, "failures": [failure.to_dict() for failure in failures]}
        schema = reads_schema({"edge_lpr.segment": json.dumps(told)})
        write_table(self.segment_path(unit), pa.Table.from_pylist([*frames], schema))

    def read_segment(self, unit: Unit) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
        """Returns what is known of a committed segment, and its frames.

        Raises:
            FileNotFoundError: It is not there, or not any more.
        """
        source = opened(self.segment_path(unit))
        file = pq.ParquetFile(source, pre_buffer=False)  # see `read_table`
        told: dict[str, Any] = json.loads((file.schema_arrow.metadata or {})[b"edge_lpr.segment"])

        def frames() -> Iterator[dict[str, Any]]:
            with source, file:
                for batch in file.iter_batches(1024, use_threads=False):
                    yield from batch.to_pylist()

        return told, frames()

    def segment_failures(self, unit: Unit) -> list[Failure]:
        """Returns what of a committed segment could not be read.

        Raises:
            FileNotFoundError: It is not there, or not any more.
        """
        with opened(self.segment_path(unit)) as file:
            metadata = pq.read_schema(file).metadata or {}
        return [Failure(**one) for one in json.loads(metadata[b"edge_lpr.segment"])["failures"]]

    def drop_segments(self, units: Iterable[Unit]) -> None:
        """Takes away the reads of a video whose rows are committed."""
        for unit in units:
            self.segment_path(unit).unlink(missing_ok=True)

    def write_plan(self, plan: dict[str, Any], units: Sequence[Unit]) -> None:
        """Writes what is to be done; the units first, so that there is a plan only where both are whole.

        Raises:
            OutputError: They cannot be written.
        """
        columns = {"unit": [unit.to_json() for unit in units], "video": [unit.video for unit in units]}
        write_table(
            self.units, pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
        )
        write_whole(
            self.plan, (json.dumps(plan, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace")
        )

    def read_plan(self) -> tuple[dict[str, Any], list[Unit]]:
        """Returns what `write_plan` wrote.

        Raises:
            InputError: There is none, or it is damaged.
        """
        data = read_whole(self.plan, 64 << 20, "a plan", f"{self.folder}: no archive there")
        try:
            plan: dict[str, Any] = {**json.loads(data)}  # a TypeError for all but an object
            plan["failures"] = [Failure.from_dict(one).to_dict() for one in plan["failures"]]
            with opened(self.units) as file:
                units = read_table(file).column("unit").to_pylist()
            return plan, [Unit.from_json(text) for text in units]
        except (ValueError, KeyError, TypeError, RecursionError, OSError, pa.ArrowException) as e:
            raise InputError(
                f"{self._own}: the plan is damaged ({one_line(e, 120)}); give another --out"
            ) from e

    def segments_of(self, video: str) -> list[Unit]:
        """Returns all segments of a video, in order."""
        if video != self._known[0]:
            texts: list[str] = []
            # Batch by batch: the plan of millions of pictures is no reader's to hold.
            with opened(self.units) as file, pq.ParquetFile(file, pre_buffer=False) as units:
                for batch in units.iter_batches(columns=["unit", "video"], use_threads=False):
                    texts += batch.filter(pc.equal(batch.column("video"), video)).column("unit").to_pylist()
            self._known = video, sorted(map(Unit.from_json, texts), key=lambda unit: unit.part)
        return self._known[1]

    def are_there(self, segments: Iterable[Unit]) -> bool:
        """Tells whether segments are committed."""
        there = {path.name for path in (self._own / "segments").glob("*.parquet")}
        return all(self.segment_path(unit).name in there for unit in segments)

    def rows(self) -> int:
        """Counts the rows that are committed, by what their files say of themselves.

        Raises:
            InputError: One is damaged.
        """
        count = 0
        for path in self.folder.glob("day=*/*.parquet"):
            with _whole(path), opened(path) as file:
                count += pq.read_metadata(file).num_rows
        return count

    def bytes(self) -> Counter[str]:
        """Returns how many bytes there are of rows, and of reads that are to become rows."""
        found: Counter[str] = Counter()
        for kind, pattern in (("rows", "day=*/*.parquet"), ("reads", f"{_OWN}/segments/*.parquet")):
            for path in self.folder.glob(pattern):
                with suppress(OSError):
                    found[kind] += path.stat().st_size
        return found

    def clear_leftovers(self) -> None:
        """Takes away what a run that was killed left half written, and forgets at what its readers died."""
        if isinstance(self._own, Path) and isinstance(self.folder, Path):  # objects are never half written
            for folder in (self._own, *self._own.glob("*/"), *self.folder.glob("day=*/")):
                for path in folder.glob(".*"):
                    if PART.fullmatch(path.name):
                        path.unlink(missing_ok=True)
        remove_all(self._own / "attempts")
        create(self._own / "attempts")

    def finish(self) -> None:
        """Takes away what is needed no more once all units are committed."""
        for name in ("segments", "attempts", "again"):
            remove_all(self._own / name)

    def is_empty(self) -> bool:
        """Tells whether nothing lies in the folder that an archive could be mixed with.

        Raises:
            InputError: It cannot be looked into, or is none.
        """
        try:
            return all(path.name == _OWN for path in self.folder.iterdir())
        except FileNotFoundError:
            return True
        except OSError as e:
            raise InputError(unreadable(str(self.folder), e)) from e


@contextmanager
def _whole(path: Place) -> Iterator[None]:
    """While entered, what is wrong with a file of rows is told with what to do about it."""
    try:
        yield
    except (OSError, pa.ArrowException) as e:
        raise InputError(
            f"{path}: no file of rows, or damaged ({one_line(e, 120)}); remove it, and --resume reads its "
            "unit again"
        ) from e
