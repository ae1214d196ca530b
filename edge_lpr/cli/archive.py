"""`edge-lpr archive SOURCE… --out DIR`: archives, read on all cores or a Ray cluster, into Parquet."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from edge_lpr.backends import AUTO
from edge_lpr.bundle.manifest import bundle_folder, portable_bundle
from edge_lpr.cli.options import add_model_options, add_threshold_options, backend_arguments
from edge_lpr.cli.read.messages import Messages
from edge_lpr.console.interrupts import Interrupts
from edge_lpr.console.log_level import shows
from edge_lpr.console.output import say, say_json
from edge_lpr.console.streams import libraries_apart
from edge_lpr.console.text import duration, number
from edge_lpr.counting import counted
from edge_lpr.environment import cores
from edge_lpr.errors import SettingError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.claims import Named, check_outputs, files_in
from edge_lpr.pipeline.settings import DetectorSettings, GateSettings, ReadSettings, TrackSettings
from edge_lpr.settings import add_options, given
from edge_lpr.signatures import load_public_key

if TYPE_CHECKING:
    from edge_lpr.archive.job import Job
    from edge_lpr.archive.store import Store
    from edge_lpr.archive.worker import UnitResult

DESCRIPTION = """\
Reads archives of pictures and videos on all cores of this machine, or on a Ray cluster, and
writes a Parquet data set: a row per plate of a picture and per vehicle of a video. Ray
distributes the work. What was killed anywhere goes on with --resume, and gives the rows of a
run that was not. Needs the extra scale.
"""

EPILOG = """\
examples:
  edge-lpr archive photos/ videos/ --out plates/       all cores of this machine
  edge-lpr archive photos/ --out plates/ --plan        what there is, and what it will take
  edge-lpr archive --out plates/ --resume              goes on with it
  edge-lpr archive --out plates/ --retry-failed        reads again what failed
  edge-lpr archive --out plates/ --status              how far it is, as JSON
  edge-lpr archive @list.parquet --column uri --out /share/plates --ray auto
  edge-lpr archive s3://archive/2026/ --out /share/plates --ray 10.0.0.5:6379 --gpus-per-reader 0.25

sources:
  Files, folders and patterns; addresses of files and folders that fsspec opens (s3://, gs://,
  abfs://, hdfs:// …, each with its package), without passwords in them; and @FILE, a list of
  both: text, one a line, or a column of a Parquet file.
"""

_SHOWN = 20  # failures that are told; all are in the list
_SETTINGS = (DetectorSettings, ReadSettings, TrackSettings, GateSettings)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    from edge_lpr.archive.settings import CutSettings, ReaderSettings

    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="what is read; see below")
    parser.add_argument(
        "--out",
        required=True,
        metavar="PLACE",
        help="the data set's folder, which all machines see, or its address in an object store (s3:// …)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--resume", action="store_true", help="go on with an archive; sources need not be given again"
    )
    what.add_argument(
        "--retry-failed",
        action="store_true",
        help="read again what failed of an archive, and nothing else: after a disk was put back",
    )
    what.add_argument("--status", action="store_true", help="tell how far an archive is, as JSON, and leave")
    what.add_argument(
        "--plan",
        action="store_true",
        help="tell what there is to read and what that will take, by a sample of one percent, and leave",
    )
    parser.add_argument("--column", metavar="NAME", help="the column of Parquet files of sources (@FILE)")
    parser.add_argument("--crops", action="store_true", help="rows have the plates' images, as PNG")
    parser.add_argument("--quiet", action="store_true", help="no progress and no notes; errors are told")
    add = parser.add_argument_group("machines and readers").add_argument
    add("--ray", metavar="ADDRESS", help="a Ray cluster: auto, or HOST:PORT (default: this machine alone)")
    add_options(add, ReaderSettings)
    add = parser.add_argument_group("units of work").add_argument
    add_options(add, CutSettings)
    add_model_options(parser)
    add = parser.add_argument_group("how pictures and frames are read").add_argument
    add_options(add, ReadSettings)
    add_options(add, CaptureOptions, ("stride", "max_pixels"))
    add_threshold_options(parser, "videos")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from edge_lpr.archive.places import place_of
    from edge_lpr.archive.status import status_of
    from edge_lpr.archive.store import Store

    store = Store(place_of(args.out))
    args.resume = args.resume or args.retry_failed
    if args.status:
        say_json(status_of(store))
        return 0
    with libraries_apart(shown=shows("debug")):
        messages = Messages(args.quiet)
        job = _job(args, store)
        if args.plan:
            return _tell_plan(job, messages)
        try:
            return _read(args, store, job, messages)
        except KeyboardInterrupt as e:
            if store.plan.exists():
                e.args = (f"interrupted; go on with it: edge-lpr archive --out {quote(args.out)} --resume",)
            raise


def _job(args: argparse.Namespace, store: Store) -> Job:
    """Returns what the options ask for; of an archive that is gone on with, what it was begun with.

    Raises:
        SettingError: No source; or an option differs from what the archive was begun with.
        SourceError: A source would put a secret into the plan.
    """
    from edge_lpr.archive.job import Job, absolute
    from edge_lpr.archive.settings import CutSettings
    from edge_lpr.archive.storage import check_source

    if not args.sources and not args.resume:
        raise SettingError("no SOURCE: give what is to be read, or --resume, --retry-failed or --status")
    for source in args.sources:
        check_source(source)
    before = (
        Job.from_dict(store.read_plan()[0])
        if args.resume and (store.plan.exists() or not args.sources)
        else None
    )
    begun = before or Job(sources=())
    options = {
        name: absolute(value) if name == "engines" else value
        for name, value in backend_arguments(args).items()
    }
    models = {
        **({"bundle": portable_bundle(args.bundle, Path())} if args.bundle else {}),
        # The key itself: a cluster's machines need not have the file.
        **({"verify_key": str(load_public_key(args.verify_key))} if args.verify_key else {}),
        **({"backend": args.backend} if args.backend != AUTO else {}),
        **({"precision": args.precision} if args.precision != AUTO else {}),
        **({"options": options} if options else {}),
    }
    settings = {name: value for kind in _SETTINGS for name, value in given(args, kind).items()}
    job = replace(
        begun,
        sources=tuple(args.sources) or begun.sources,
        column=args.column or begun.column,
        models={**begun.models, **models},
        settings={**begun.settings, **settings},
        crops=args.crops or begun.crops,
        **given(args, CaptureOptions, ("stride", "max_pixels")),
        **given(args, CutSettings),
    )
    if before is not None:
        before.check_same(job)
    return job.with_bundle()


def _tell_plan(job: Job, messages: Messages) -> int:
    from edge_lpr.archive.estimate import estimate
    from edge_lpr.archive.run import make_plan

    plan = make_plan(job, messages.note)
    for failure in plan.failures:
        messages.fail(failure.reason)
    videos = len({unit.video for unit in plan.units if unit.video})
    say(
        f"{counted(len(plan.units), 'units')}: {counted(plan.pictures, 'pictures')}, "
        f"{counted(videos, 'videos')} of {duration(plan.seconds)} with {counted(plan.frames, 'frames')}"
    )
    with job.open_reader(1) as reader, messages.progress("sample"):
        told = estimate(plan, job, reader)
        say(
            f"by a sample of {counted(told.pictures, 'pictures')} and {counted(told.frames, 'frames')}: "
            f"{told.seconds / 3600:.2f} hours of one reader ({reader.description}), "
            f"{duration(told.seconds / cores())} on {counted(cores(), 'cores')}; "
            f"about {counted(round(told.plates), 'rows')}"
        )
    return 2 if plan.failures else 0


def _read(args: argparse.Namespace, store: Store, job: Job, messages: Messages) -> int:
    from edge_lpr.archive.cluster import check_answers
    from edge_lpr.archive.run import ArchiveRun
    from edge_lpr.archive.settings import ReaderSettings

    check_answers(args.ray)  # Ray itself asks for minutes
    settings = ReaderSettings(**given(args, ReaderSettings))
    run = ArchiveRun(store, job, settings, args.ray, messages.note, shows("debug"))
    written = [*([] if args.resume else [store.plan, store.units]), store.failures.list]
    there = [path for path in written if isinstance(path, Path) and path.exists()]
    if there:  # else none is read; to find out which are may take long
        check_outputs((("--out", path) for path in written if isinstance(path, Path)), _inputs(args, job))
    if args.ray is None:  # what is wrong with the models is told at once, and not by each reader
        job.open_reader(1).close()
    with Interrupts(), run.alone(), run.reached(args.resume):
        units, found = run.prepare(args.resume, args.retry_failed)
        for failure in found:
            messages.fail(failure.reason)
        total = sum(unit.frames for unit in units)
        with messages.progress(str(args.out), total, "frames") as progress:
            counts = {"rows": 0, "failures": len(found)}

            def on_done(done: UnitResult) -> None:
                counts["rows"] += done.rows
                counts["failures"] += done.failures
                progress.update(done.frames, **counts)

            summary = run.run(units, found, on_done)
    rate = f", {number(summary.frames / summary.seconds)}/s" if summary.seconds > 0 and summary.frames else ""
    messages.note(
        f"{args.out}: {counted(summary.frames, 'pictures and frames', 'picture or frame')} in "
        f"{duration(summary.seconds)}{rate} by {counted(summary.readers, 'readers')}, "
        f"{counted(summary.rows, 'rows')}"
    )
    if summary.failures:
        shown = [failure.reason for failure in summary.failures[:_SHOWN]]
        for line in shown:
            messages.fail(line)
        more = len(summary.failures) - len(shown)
        listed = f"{more} more than are told here, all " if more else ""
        failures = counted(len(summary.failures), "failures")
        messages.fail(f"{failures}, {listed}listed in {store.failures.list}")
    return 2 if summary.failures else 0


def _inputs(args: argparse.Namespace, job: Job) -> Iterator[Named]:
    """Gives the files that are read, as far as they are here."""
    from edge_lpr.archive.finding import find

    yield from (("SOURCE", source[1:]) for source in job.sources if source.startswith("@"))
    yield "--verify-key", args.verify_key
    yield from chain(files_in("--bundle", bundle_folder(args.bundle)), files_in("--engines", args.engines))
    found = find(job.sources, job.column)
    yield from (("SOURCE", file.address) for file in (*found.pictures, *found.videos))
