"""Measures every precision and backend of a bundle on the same images, and sets them against FP32.

Each variant runs in a process of its own, so that its peak memory is its own and one that fails does not take
the others with it.
"""

from __future__ import annotations

import datetime
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_lpr.bundle.manifest import Bundle, load_bundle
from edge_lpr.console.progress import Progress
from edge_lpr.counting import counted
from edge_lpr.datasets.labels import load_labels
from edge_lpr.environment import machine, peak_memory
from edge_lpr.errors import BackendError, BundleError, EdgeLprError, InputError, SettingError
from edge_lpr.evaluation.evaluate import Evaluation, evaluate_reader, score_json
from edge_lpr.evaluation.significance import (
    Paired,
    compare_pairs,
    confusions,
    items_needed,
    percentiles,
)
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.precisions import PRECISIONS, REFERENCE
from edge_lpr.types import PARTS, TASKS, EvaluationTask

# The figure of each task that a gate looks at, and what its items are.
GATED: dict[EvaluationTask, str] = {"det": "hmean", "rec": "acc", "e2e": "recall"}
ITEMS: dict[EvaluationTask, str] = {"det": "images", "rec": "plates", "e2e": "images"}


@dataclass(frozen=True)
class Variant:
    """One way to run a bundle."""

    precision: str
    backend: str

    def __str__(self) -> str:
        return f"{self.precision} {self.backend}"


@dataclass
class Measured:
    """What one variant did.

    Attributes:
        variant: Which.
        description: The reader's own line.
        results: The evaluation of each task that the labels allow.
        bytes: Size of both model files.
        peak_bytes: The process's peak resident memory, in bytes; None where the system does not say.
        options: Settings of the backends that were asked for, by name.
    """

    variant: Variant
    description: str
    results: dict[EvaluationTask, Evaluation[Any]]
    bytes: int
    peak_bytes: int | None
    options: dict[str, Any]


def variants(bundle: Bundle, backends: Sequence[str]) -> list[Variant]:
    """Lists what can be compared: each backend with each precision, FP32 first.

    Raises:
        BundleError: The bundle has no FP32 models to compare with.
    """
    precisions = bundle.precisions()
    if REFERENCE not in precisions:
        raise BundleError(
            f"{bundle.path}: no {REFERENCE} models of both parts, only {', '.join(precisions) or 'none'}: "
            "there is nothing to compare with; make the bundle again with edge-lpr export"
        )
    return [Variant(precision, backend) for backend in backends for precision in precisions]


def measure(
    bundle: str,
    sources: Sequence[str],
    variant: Variant,
    options: Mapping[str, Any],
    tasks: Sequence[EvaluationTask] = TASKS,
) -> Measured:
    """Evaluates one variant in this process, with a progress line for each task.

    Raises:
        BackendError: The backend cannot run here.
    """
    samples = load_labels(sources).samples
    results: dict[EvaluationTask, Evaluation[Any]] = {}
    with PlateReader(bundle, variant.backend, variant.precision, options=options) as reader:
        for task in tasks:
            with Progress(f"{variant} {task}", len(samples), "images") as progress:
                try:
                    # One plate at a time: a batch says nothing of how long the slowest takes.
                    results[task] = evaluate_reader(task, reader, samples, tick=progress.update, batch=1)
                except InputError:
                    continue  # no sample has the labels that this task needs
        description = reader.description
        # "auto" is what was asked for; the report names what ran.
        variant = Variant(variant.precision, reader.detector.backend.name)
        files = [reader.bundle.model(part, variant.precision) for part in PARTS]
    return Measured(
        variant=variant,
        description=description,
        results=results,
        bytes=sum(file.size for file in files),
        peak_bytes=peak_memory(),
        options=dict(options),
    )


def compare_precisions(
    bundle: str | Path,
    sources: Sequence[str | Path],
    backends: Sequence[str],
    options: Mapping[str, Any],
    report: Callable[[str], None],
    on_unread: Callable[[str], None] | None = None,
) -> list[Measured]:
    """Measures all variants of a bundle, each in a process of its own.

    Args:
        bundle: The bundle's folder.
        sources: Labelled images.
        backends: Backends to try.
        options: Settings of the backends by name; see `edge_lpr.backends.open_models`.
        report: Called with a line for what is left out: labels, and variants that could not be measured.
        on_unread: Called with a line for each image that cannot be read and is left out; None reports it.

    Returns:
        What was measured, FP32 of the first backend first.

    Raises:
        BackendError: Not even that one could be measured.
        InputError: The images or the bundle cannot be used.
    """
    opened = load_bundle(bundle)
    labels = load_labels(sources)  # said here, once, if they cannot be used
    for note in labels.notes:
        report(note)
    if labels.problems:
        report(f"{counted(len(labels.problems), 'labels')} skipped; the first: {labels.problems[0]}")
    measured: list[Measured] = []
    texts = [str(source) for source in sources]
    for variant in variants(opened, backends):
        # A fresh interpreter: a forked one would start with this one's memory and threads.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            try:
                done = pool.submit(measure, str(opened.path), texts, variant, dict(options))
                measured.append(done.result())
            except BrokenProcessPool as e:
                problem: Exception = BackendError(
                    f"{variant}: its process ended, perhaps for lack of memory ({e})"
                )
            except EdgeLprError as e:
                problem = e
            else:
                continue
        if not measured:
            raise problem
        report(f"{variant}: not measured: {problem}")
    if not measured[0].results:
        raise InputError(f"{', '.join(texts)}: no image has the labels that any task needs")
    problems = (
        problem for done in measured for result in done.results.values() for problem in result.problems
    )
    for line in dict.fromkeys((*labels.unread, *problems)):
        (on_unread or report)(f"left out: {line}")
    return measured


def gates(texts: Sequence[str]) -> dict[str, float]:
    """Reads `--gate int8:0.5`: the points that a precision may lose; not 0, since nothing shows that none is.

    Raises:
        SettingError: Not of that form.
    """
    found = {}
    lossy = [name for name in PRECISIONS.names() if name != REFERENCE]
    for text in texts:
        precision, colon, points = text.partition(":")
        try:
            value = float(points)
        except ValueError:
            value = -1.0
        if not colon or precision not in lossy or not 0 < value <= 100:
            raise SettingError(
                f"--gate {text!r}: expected PRECISION:POINTS, such as int8:0.5, with points over 0 to 100; "
                f"precisions are {', '.join(lossy)}"
            )
        found[precision] = value
    return found


def measured_tasks(measured: Sequence[Measured]) -> list[EvaluationTask]:
    """Lists the tasks that any variant has results of."""
    return [task for task in TASKS if any(task in m.results for m in measured)]


def losses(measured: Sequence[Measured]) -> dict[Variant, dict[EvaluationTask, float]]:
    """Returns the points that each variant loses against FP32, by task (negative where it wins)."""
    first = measured[0].results
    return {
        m.variant: {
            task: 100 * (getattr(first[task].all, GATED[task]) - getattr(result.all, GATED[task]))
            for task, result in m.results.items()
            if task in first
        }
        for m in measured[1:]
    }


def check_gates(measured: Sequence[Measured], limits: dict[str, float]) -> list[str]:
    """Returns a line for each figure that loses more than its gate allows, or may for all that was seen.

    A gate holds where the figure loses no more, and where the 95 % interval of the items read right rules out
    that they do: a few images on which nothing is lost show little. A gate on a precision that was not
    measured fails too: a CI job must not pass because a file is missing.
    """
    compared = pairs(measured)
    failed = [
        f"{variant}: {task} {told}"
        for variant, by_task in losses(measured).items()
        if variant.precision in limits
        for task, points in by_task.items()
        if (told := _failure(task, points, compared[variant, task], limits[variant.precision]))
    ]
    present = {m.variant.precision for m in measured}
    return failed + [
        f"{precision}: has a gate, but was not measured: a network of the bundle lacks it, which `edge-lpr "
        "calibrate` makes, or it cannot be run here, as said above"
        for precision in limits
        if precision not in present
    ]


def _failure(task: EvaluationTask, points: float, pair: Paired, limit: float) -> str:
    """What a figure fails its gate by; nothing where it holds."""
    if points > limit + 1e-9:
        return f"{GATED[task]} loses {points:.2f} points, allowed: {limit:g}"
    if -100 * pair.low <= limit:
        return ""
    seen = f"{pair.lost} of {pair.items} {ITEMS[task]} lost and {pair.won} won"
    needed = items_needed(limit / 100, pair.lost, pair.won, max(pair.items, 1))
    rate = "at this rate" if pair.lost else "of which none is lost"
    return (
        f"is not shown to keep {counted(f'{limit:g}', 'points')}: {seen}, "
        f"so up to {-100 * pair.low:.2f} may be lost (95 %); "
        + (f"about {needed} {ITEMS[task]} {rate} would show it" if needed else "more would not help")
    )


def pairs(measured: Sequence[Measured]) -> dict[tuple[Variant, EvaluationTask], Paired]:
    """Compares each variant's tasks with FP32's, item by item."""
    first = measured[0].results
    return {
        (m.variant, task): compare_pairs(first[task].right, result.right)
        for m in measured[1:]
        for task, result in m.results.items()
        if task in first
    }


def to_json(measured: Sequence[Measured], sources: Sequence[str | Path], bundle: Bundle) -> dict[str, Any]:
    """Returns everything that was measured, ready for JSON."""
    compared = pairs(measured)
    lost = losses(measured)
    return {
        "bundle": bundle.name,
        "data": [str(source) for source in sources],
        "date": today(),
        "machine": machine(),
        "variants": [
            {
                "precision": m.variant.precision,
                "backend": m.variant.backend,
                "description": m.description,
                "options": m.options,
                "model_bytes": m.bytes,
                "peak_bytes": m.peak_bytes,
                "loses_points": {task: round(points, 4) for task, points in lost.get(m.variant, {}).items()},
                "tasks": {task: _task_json(m, task, compared) for task in m.results},
            }
            for m in measured
        ],
    }


def _task_json(
    m: Measured, task: EvaluationTask, compared: dict[tuple[Variant, EvaluationTask], Paired]
) -> dict[str, Any]:
    result = m.results[task]
    data: dict[str, Any] = {
        "subsets": {name: score_json(score) for name, score in result.scores.items()},
        "per_second": round(result.fps, 2),
        "milliseconds": latency(result),
    }
    if (m.variant, task) in compared:
        data["against_fp32"] = asdict(compared[m.variant, task])
    if task == "rec":
        top = confusions((miss.expected[0], miss.found[0]) for miss in result.misses).most_common(50)
        data["confusions"] = [{"true": a, "read": b, "count": n} for (a, b), n in top]
    return data


def latency(result: Evaluation[Any]) -> dict[str, float]:
    """Returns percentiles of the runs on one image (one plate, for recognition), in milliseconds.

    A run on several at once is left out: by their number it would be a mean, whose percentiles are no run's.
    """
    return percentiles([seconds for seconds, items in result.calls if items == 1])


def today() -> str:
    """Returns the date, in UTC, as YYYY-MM-DD."""
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()
