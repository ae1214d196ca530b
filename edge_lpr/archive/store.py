"""The folder of an archive: what of it is committed, written so that it is there whole or not at all.

A unit is committed where its file has its name: ``day=2026-11-27/ID.parquet`` for rows, and for a segment of
a video, until the video's rows are there, ``_archive/segments/ID.parquet``. There is no other list of what is
done that could say something else. A file that is written twice, because a machine was taken for lost and
went on, is the same file.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from edge_lpr.archive.schema import reads_schema, rows_schema
from edge_lpr.archive.units import Failure, Unit
from edge_lpr.errors import InputError, OutputError, one_line
from edge_lpr.io.atomic_io import create_folder, write_bytes
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.file_names import PART
from edge_lpr.io.out_file import PartFile
from edge_lpr.io.walk import unreadable

__all__ = ["Store"]

_OWN = "_archive"  # a name that readers of data sets pass over


class Store:
    """One archive's folder.

    Args:
        folder: The folder; it need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own = folder / _OWN
        self.plan = self._own / "plan.json"
        self.units = self._own / "units.parquet"
        self.failures = self._own / "failures.jsonl"
        self._known: tuple[str, list[Unit]] = "", []

    def create(self) -> None:
        """Creates the folders.

        Raises:
            OutputError: They cannot be written.
        """
        for name in ("", "segments", "failures", "attempts"):
            create_folder(self._own / name)

    def rows_path(self, day: str, name: str) -> Path:
        """Returns the file of a unit's or video's rows."""
        return self.folder / f"day={day}" / f"{name}.parquet"

    def segment_path(self, unit: Unit) -> Path:
        """Returns the file of a segment's reads."""
        return self._own / "segments" / f"{unit.id}.parquet"

    def attempts_path(self, unit: Unit) -> Path:
        """Returns the file in which readers say what of a unit they are at."""
        return self._own / "attempts" / unit.id

    def is_done(self, unit: Unit) -> bool:
        """Tells whether a unit is committed, by itself or as a part of its video."""
        rows = self.rows_path(unit.day, unit.video or unit.id)
        return rows.exists() or (bool(unit.video) and self.segment_path(unit).exists())

    def done(self, units: Iterable[Unit]) -> set[str]:
        """Returns the identifiers of those of some units that are committed; looks into each folder once."""
        rows = {path.stem for path in self.folder.glob("day=*/*.parquet")}
        segments = {path.stem for path in (self._own / "segments").glob("*.parquet")}
        return {u.id for u in units if (u.video or u.id) in rows or (u.video and u.id in segments)}

    def commit_rows(
        self, day: str, name: str, rows: Sequence[dict[str, Any]], failures: Sequence[Failure]
    ) -> None:
        """Writes the rows of a unit or video, and what of it could not be read.

        Raises:
            OutputError: They cannot be written.
        """
        self._note_failures(name, failures)
        path = self.rows_path(day, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, pa.Table.from_pylist([*rows], rows_schema()))

    def commit_segment(
        self, unit: Unit, frames: Sequence[dict[str, Any]], told: dict[str, Any], failures: Sequence[Failure]
    ) -> None:
        """Writes the reads of a segment.

        Args:
            unit: The segment.
            frames: Its frames, as `reads_schema` has them.
            told: What is to be known of it beside them.
            failures: What of it could not be read.

        Raises:
            OutputError: They cannot be written.
        """
        self._note_failures(unit.id, failures)
        schema = reads_schema({"edge_lpr.segment": json.dumps(told)})
        _write(self.segment_path(unit), pa.Table.from_pylist([*frames], schema))

    def read_segment(self, unit: Unit) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
        """Returns what is known of a committed segment, and its frames.

        Raises:
            FileNotFoundError: It is not there, or not any more.
        """
        file = pq.ParquetFile(self.segment_path(unit))
        told: dict[str, Any] = json.loads((file.schema_arrow.metadata or {})[b"edge_lpr.segment"])

        def frames() -> Iterator[dict[str, Any]]:
            with file:
                for batch in file.iter_batches(1024):
                    yield from batch.to_pylist()

        return told, frames()

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
        _write(
            self.units, pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
        )
        write_bytes(
            self.plan, (json.dumps(plan, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace")
        )

    def read_plan(self) -> tuple[dict[str, Any], list[Unit]]:
        """Returns what `write_plan` wrote.

        Raises:
            InputError: There is none, or it is damaged.
        """
        data = read_bounded(
            self.plan, 64 << 20, "a plan", InputError, missing=f"{self.folder}: no archive there"
        )
        try:
            plan: dict[str, Any] = {**json.loads(data)}  # a TypeError for all but an object
            plan["failures"] = [*plan["failures"]]
            units = pq.read_table(self.units).column("unit").to_pylist()
            return plan, [Unit.from_json(text) for text in units]
        except (ValueError, KeyError, TypeError, OSError, pa.ArrowException) as e:
            raise InputError(
                f"{self._own}: the plan is damaged ({one_line(e, 120)}); give another --out"
            ) from e

    def segments_of(self, video: str) -> list[Unit]:
        """Returns all segments of a video, in order."""
        if video != self._known[0]:
            table = pq.read_table(self.units, columns=["unit"], filters=[("video", "=", video)])
            units = [Unit.from_json(text) for text in table.column("unit").to_pylist()]
            self._known = video, sorted(units, key=lambda unit: unit.part)
        return self._known[1]

    def are_there(self, segments: Iterable[Unit]) -> bool:
        """Tells whether segments are committed."""
        there = {path.name for path in (self._own / "segments").glob("*.parquet")}
        return all(self.segment_path(unit).name in there for unit in segments)

    def gathered_failures(self, found: Sequence[Failure] = ()) -> list[Failure]:
        """Returns all that could not be read, in the order of the units' identifiers.

        Args:
            found: What was found before there were units.
        """
        failures = [*found]
        for path in sorted((self._own / "failures").glob("*.jsonl")):
            with suppress(OSError, ValueError, TypeError):
                failures += [Failure(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]
        return failures

    def write_failures(self, failures: Sequence[Failure]) -> None:
        """Writes the list of all that could not be read.

        Raises:
            OutputError: It cannot be written.
        """
        lines = [json.dumps(failure.to_dict(), ensure_ascii=False) + "\n" for failure in failures]
        write_bytes(self.failures, "".join(lines).encode("utf-8", "replace"))

    def rows(self) -> int:
        """Counts the rows that are committed, by what their files say of themselves."""
        return sum(pq.read_metadata(path).num_rows for path in self.folder.glob("day=*/*.parquet"))

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
        for folder in (self._own, *self._own.glob("*/"), *self.folder.glob("day=*/")):
            for path in folder.glob(".*"):
                if PART.fullmatch(path.name):
                    path.unlink(missing_ok=True)
        shutil.rmtree(self._own / "attempts", ignore_errors=True)
        create_folder(self._own / "attempts")

    def finish(self) -> None:
        """Takes away what is needed no more once all units are committed."""
        for name in ("segments", "attempts"):
            shutil.rmtree(self._own / name, ignore_errors=True)

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
            raise InputError(unreadable(self.folder, e)) from e

    def _note_failures(self, name: str, failures: Sequence[Failure]) -> None:
        path = self._own / "failures" / f"{name}.jsonl"
        if failures:
            lines = [json.dumps(failure.to_dict(), ensure_ascii=False) + "\n" for failure in failures]
            write_bytes(path, "".join(lines).encode("utf-8", "replace"), durable=False)
        else:
            path.unlink(missing_ok=True)


def _write(path: Path, table: pa.Table) -> None:
    part: PartFile | None = None
    try:
        # Processes of several machines may have one number, and write one file.
        part = PartFile(path, f".{secrets.token_hex(8)}")
        pq.write_table(table, part, compression="zstd")
        part.complete()
        part = None
    except (OSError, pa.ArrowException) as e:
        raise OutputError(
            f"{path}: cannot be written ({getattr(e, 'strerror', None) or one_line(e, 120)})"
        ) from e
    finally:
        if part is not None:
            part.discard()
