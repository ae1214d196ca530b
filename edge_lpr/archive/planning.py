"""The plan of an archive: its units, the same each time for the same sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from edge_lpr.archive.cuts import Cuts, cut
from edge_lpr.archive.days import day_of
from edge_lpr.archive.finding import Found
from edge_lpr.archive.job import Job
from edge_lpr.archive.units import Failure, SourceFile, Unit, identifier
from edge_lpr.errors import SourceError
from edge_lpr.pipeline.ordered_pool import in_order
from edge_lpr.pipeline.settings import ReadSettings

__all__ = ["Plan", "cut_here", "plan"]

Mapper = Callable[[Iterable[SourceFile]], Iterator["tuple[SourceFile, Cuts | SourceError]"]]


@dataclass
class Plan:
    """What there is to do.

    Attributes:
        units: Pictures day by day, then videos, each part by part.
        failures: Sources that there is no unit of.
        seconds: How long all videos are.
    """

    units: list[Unit] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def pictures(self) -> int:
        """How many pictures there are."""
        return sum(unit.frames for unit in self.units if not unit.video)

    @property
    def frames(self) -> int:
        """How many frames all videos have."""
        return sum(unit.frames for unit in self.units if unit.video)


def plan(found: Found, job: Job, cuts: Mapper, on_video: Callable[[], object] = lambda: None) -> Plan:
    """Divides what was found into units.

    Args:
        found: Pictures and videos.
        job: How they are read.
        cuts: Finds where videos are cut, in their order; see `cut_here`.
        on_video: Called after each video.
    """
    made = Plan(failures=list(found.failures))
    made.units += _blocks(found.pictures, job.block)
    for file, cut_at in cuts(found.videos):
        if isinstance(cut_at, SourceError):
            made.failures.append(Failure(file.name, str(cut_at)))
        else:
            made.units += _segments(file, cut_at)
            made.seconds += cut_at.seconds
        on_video()
    return made


def _cut(file: SourceFile, job: Job) -> Cuts | SourceError:
    """Finds where a video is cut; returns what is wrong with one that cannot be opened."""
    read = ReadSettings().changed({k: v for k, v in job.settings.items() if k in ReadSettings.names()})
    try:
        return cut(file.address, file.name, job.segment, job.stride, read.rescan_interval)
    except SourceError as e:
        return e


def cut_here(job: Job, workers: int) -> Mapper:
    """Returns what cuts videos in this process, several at once: it is storage that is waited for."""
    return lambda files: in_order(lambda file: _cut(file, job), files, workers)


def _blocks(pictures: Sequence[SourceFile], size: int) -> Iterator[Unit]:
    by_day = sorted(((day_of(file), file) for file in pictures), key=lambda pair: pair[0])  # a stable sort
    for day, pairs in groupby(by_day, key=lambda pair: pair[0]):
        files = [file for _, file in pairs]
        for first in range(0, len(files), size):
            block = tuple(files[first : first + size])
            named = [(file.address, file.size, file.modified) for file in block]
            yield Unit(identifier("pictures", named), day, len(block), block)


def _segments(file: SourceFile, cuts: Cuts) -> Iterator[Unit]:
    video, day = identifier("video", file.address, file.size, file.modified), day_of(file)
    parts = len(cuts.segments)
    for part, (segment, frames) in enumerate(zip(cuts.segments, cuts.frames, strict=True)):
        name = identifier("segment", video, segment.begins, segment.ends)
        yield Unit(name, day, frames, (file,), video, part, parts, segment)
