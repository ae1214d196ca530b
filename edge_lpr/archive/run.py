"""One run over an archive: found, planned, read by many, and told of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field

from edge_lpr.archive.cluster import Cluster, connected
from edge_lpr.archive.finding import HIDDEN_NAME, find
from edge_lpr.archive.job import Job
from edge_lpr.archive.models import may_build, offer
from edge_lpr.archive.places import lock_of
from edge_lpr.archive.planning import Plan, cut_here, plan
from edge_lpr.archive.settings import ReaderSettings
from edge_lpr.archive.store import Store
from edge_lpr.archive.units import Failure, Unit
from edge_lpr.archive.worker import Orders, UnitResult
from edge_lpr.counting import counted
from edge_lpr.environment import cores
from edge_lpr.errors import SettingError, SourceError
from edge_lpr.io.atomic_io import create_folder
from edge_lpr.io.folders import left_out_line
from edge_lpr.io.out_file import held

__all__ = ["ArchiveRun", "Summary", "make_plan"]


@dataclass(frozen=True)
class Summary:
    """How a run ended.

    Attributes:
        frames: Pictures and frames that were read in this run.
        rows: Rows that were written in it.
        seconds: How long it took, from the first unit to the last.
        failures: All that could not be read, of earlier runs too.
        readers: How many processes have read.
    """

    frames: int
    rows: int
    seconds: float
    failures: list[Failure]
    readers: int


@dataclass
class ArchiveRun:
    """A run that begins an archive, or goes on with one.

    Attributes:
        store: The archive's folder.
        job: What is read, and how.
        settings: What readers have.
        address: The Ray cluster's; None for this machine.
        note: Takes what is good to know, a line at a time.
        verbose: Whether what Ray logs is told.
    """

    store: Store
    job: Job
    settings: ReaderSettings
    address: str | None = None
    note: Callable[[str], None] = lambda line: None
    verbose: bool = False
    _cluster: Cluster | None = field(default=None, init=False)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While entered, no other run on this machine works in the folder.

        Raises:
            SettingError: One does already.
            OutputError: The folder cannot be written.
        """
        lock = lock_of(self.store.folder)
        create_folder(lock)
        with held(lock) as free:
            if not free:
                raise SettingError(f"--out {self.store.folder}: another run is at work there")
            yield

    @contextmanager
    def reached(self, resume: bool) -> Iterator[None]:
        """While entered, there is a cluster with room for readers; on this machine alone nothing is done.

        To be entered before `prepare`: what is wrong with a cluster is told before hours go into a plan, and
        leaves none behind that another run would have to go on with.

        Args:
            resume: See `prepare`.

        Raises:
            SettingError: There is no such cluster, or no room on it for a reader; and see `prepare`.
        """
        if self.address is None:
            yield
            return
        self._check_begun(resume)
        with connected(self.address, self.verbose) as self._cluster:
            self._tell(self._cluster)
            yield

    def _check_begun(self, resume: bool) -> None:
        if self.store.plan.exists():
            if not resume:
                raise SettingError(
                    f"--out {self.store.folder}: an archive was begun there; --resume goes on with it, and "
                    "another folder begins one"
                )
        elif not self.store.is_empty():
            raise SettingError(f"--out {self.store.folder}: other files lie there; give a folder of its own")

    def prepare(self, resume: bool, again: bool = False) -> tuple[list[Unit], list[Failure]]:
        """Returns the units that are left to do, and what failed before there were any; writes the plan.

        Args:
            resume: Whether an archive that was begun is gone on with.
            again: Whether what failed of it is read again.

        Raises:
            SettingError: One was begun there, and `resume` is not asked for.
            InputError: There is nothing to read; or the folder is in use for something else.
        """
        self._check_begun(resume)
        if self.store.plan.exists():
            stored, units = self.store.read_plan()
            failures = [Failure.from_dict(one) for one in stored["failures"]]
            if again and failures:
                units, failures = self._found_again(units, failures)
        else:
            made = make_plan(self.job, self.note)
            units, failures = made.units, made.failures
            self.store.create()
            self.store.write_plan(
                {**self.job.to_dict(), "failures": [asdict(one) for one in failures]}, units
            )
        self.store.create()
        self.store.clear_leftovers()
        if again:
            self._mark(units)
        done = self.store.done(units)
        return [unit for unit in units if unit.id not in done or self._is_unjoined(unit)], failures

    def _is_unjoined(self, unit: Unit) -> bool:
        """Tells whether a video waits for its rows alone, once for each: its last segment stands for it."""
        last = bool(unit.video) and unit.part == unit.parts - 1
        return last and not self.store.is_joined(unit)

    def _found_again(self, units: list[Unit], failures: list[Failure]) -> tuple[list[Unit], list[Failure]]:
        """Looks again for what was not found as the archive was begun, and adds units of what is there."""
        hidden = [failure for failure in failures if failure.source.endswith(HIDDEN_NAME)]
        found = find([failure.source for failure in failures if failure not in hidden], lists=False)
        known = {file.address for unit in units for file in unit.files}
        found.pictures = [file for file in found.pictures if file.address not in known]
        found.videos = [file for file in found.videos if file.address not in known]
        made = plan(found, self.job, cut_here(self.job, 2 * cores()))
        units, failures = [*units, *made.units], [*hidden, *made.failures]
        self.store.write_plan({**self.job.to_dict(), "failures": [asdict(one) for one in failures]}, units)
        return units, failures

    def _mark(self, units: list[Unit]) -> None:
        """Marks what is committed and lacks something: blocks of pictures, and whole videos.

        Of a video without rows, in which a run was killed, the segments that failed are forgotten.
        """
        done, marked = self.store.done(units), self.store.marked()
        failed = {one.unit for one in self.store.failures.gathered()}
        self.store.drop_segments(u for u in units if u.id in failed & done and self._is_unjoined_video(u))
        names = {u.video or u.id for u in units if u.id in failed & done and not self._is_unjoined_video(u)}
        self.store.mark(u for u in units if (u.video or u.id) in names - marked)

    def _is_unjoined_video(self, unit: Unit) -> bool:
        return bool(unit.video) and not self.store.is_joined(unit)

    def run(
        self, units: list[Unit], found: list[Failure], on_done: Callable[[UnitResult], object]
    ) -> Summary:
        """Has all units done.

        Args:
            units: What is left to do.
            found: What failed before there were units.
            on_done: Called with each that is done.

        Raises:
            EdgeLprError: The models fail, or nothing can be written; what is committed stays.
        """
        frames = rows = 0
        seconds, processes, began = 0.0, set[int](), time.monotonic()
        with self._at_hand() if units else nullcontext() as cluster:
            if cluster is not None:
                if self.address is not None:  # of this machine alone, the command has opened one itself
                    offer(self.job, self.store.models)
                    if may_build(self.job):
                        self.note(
                            "a machine that has no engine that fits it builds its own, which takes minutes"
                        )
                    cluster.try_reader(self._orders(), self.settings)
                for done in cluster.work(units, self._orders(), self.settings):
                    frames, rows = frames + done.frames, rows + done.rows
                    processes.add(done.process)
                    on_done(done)
                seconds = time.monotonic() - began
        self.store.finish()
        failures = self.store.failures.gathered(found)
        self.store.failures.write(failures)
        return Summary(frames, rows, seconds, failures, len(processes))

    @contextmanager
    def _at_hand(self) -> Iterator[Cluster]:
        """Gives the cluster that was reached, else one of this machine's own."""
        if self._cluster is not None:
            yield self._cluster
            return
        with connected(None, self.verbose) as cluster:
            self._tell(cluster)
            yield cluster

    def _orders(self) -> Orders:
        return Orders(
            str(self.store.folder),
            self.job.to_dict(),
            self.settings.cpus_per_reader,
            self.settings.retries,
            fetch=self.address is not None,
        )

    def _tell(self, cluster: Cluster) -> None:
        machines = "this machine" if self.address is None else counted(cluster.nodes, "machines")
        readers = counted(cluster.readers(self.settings), "readers")
        self.note(f"{readers} on {machines}, {counted(cluster.cpus, 'cores')}")
        if cluster.dashboard:
            self.note(f"Ray's dashboard: http://{cluster.dashboard}")


def make_plan(job: Job, note: Callable[[str], None]) -> Plan:
    """Finds what there is to read, and cuts it into units.

    Args:
        job: What is read.
        note: Takes what is good to know, a line at a time.

    Raises:
        InputError: There is nothing.
    """
    found = find(job.sources, job.column)
    if found.left_out:
        note(left_out_line(found.left_out))
    if found.videos:
        note(f"looks for where to cut {counted(len(found.videos), 'videos')}")
    made = plan(found, job, cut_here(job, 2 * cores()))
    if not made.units:
        reasons = "; ".join(failure.reason for failure in made.failures[:3])
        raise SourceError(reasons or "no picture or video there")
    return made
