"""A comparison: tables for a terminal, one HTML file that needs no other, and PNG plots beside it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from edge_lpr.calib.comparison.compare import (
    Measured,
    latency,
    losses,
    measured_tasks,
    pairs,
    today,
)
from edge_lpr.calib.comparison.plots import PLOTS, draw_plots
from edge_lpr.console.tables import table
from edge_lpr.environment import machine
from edge_lpr.errors import EdgeLprError
from edge_lpr.evaluation.evaluate import METRICS, Miss, metric_text
from edge_lpr.evaluation.significance import QUANTILES, confusions
from edge_lpr.geometry import crop_quad
from edge_lpr.io.atomic_io import create_folder, write_bytes
from edge_lpr.io.image_io import read_image
from edge_lpr.types import EvaluationTask

# Images shown of those that changed from right to wrong; all of them are in the JSON.
SHOWN = 24
PAGE = "report.html"
THUMBNAIL = (320, 200)
TEMPLATE = "report.html.j2"
TITLES: dict[EvaluationTask, str] = {"det": "Detection", "rec": "Recognition", "e2e": "End to end"}


@dataclass(frozen=True)
class Table:
    """Rows of cells under a head; the first columns hold texts, the others figures."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1

    def __str__(self) -> str:
        return table([self.head, *self.rows], left=range(self.texts))


def summary(measured: Sequence[Measured]) -> Table:
    """One row per figure, one column per variant: there are more figures than a terminal is wide."""
    rows = []
    for task in measured_tasks(measured):
        results = [m.results.get(task) for m in measured]
        for name in _metrics(measured, task):
            cells = ["-" if r is None else metric_text(r.all, name) for r in results]
            rows.append([f"{task} {name}", *cells])
        times = [{} if r is None else latency(r) for r in results]
        rows += [[f"{task} {q} ms", *(f"{t[q]:.1f}" if t else "-" for t in times)] for q in QUANTILES]
        rows.append([f"{task} per second", *("-" if r is None else f"{r.fps:.1f}" for r in results)])
    rows.append(["models MB", *(f"{m.bytes / 1e6:.2f}" for m in measured)])
    peaks = ["-" if m.peak_bytes is None else f"{m.peak_bytes / 1e6:.0f}" for m in measured]
    rows.append(["peak memory MB", *peaks])
    return Table(["", *(str(m.variant) for m in measured)], rows)


def differences(measured: Sequence[Measured]) -> Table:
    """What each variant loses against FP32, with confidence intervals."""
    compared = pairs(measured)
    rows = []
    for variant, by_task in losses(measured).items():
        for task, points in by_task.items():
            pair = compared[variant, task]
            interval = f"{100 * pair.difference:+.2f} ({100 * pair.low:+.2f} to {100 * pair.high:+.2f})"
            rows.append(
                [f"{variant} {task}", f"{0.0 - points:+.2f}", interval, str(pair.lost), str(pair.won),
                 f"{pair.p_value:.3f}", str(pair.items)]
            )  # fmt: skip
    head = ["against fp32", "points", "items right, points (95 %)", "lost", "won", "McNemar p", "items"]
    return Table(head, rows)


def origin(measured: Sequence[Measured]) -> Table:
    """Where and when the figures were taken, and what ran: a row for each."""
    here = machine()
    rows = [
        ["date", today()],
        ["machine", f"{here['cpu']}, {here['cores']} cores, {here['system']}"],
        ["software", ", ".join(f"{name} {number}" for name, number in here["versions"].items())],
        ["Python", str(here["python"])],
    ]
    return Table(["", ""], rows + [[str(m.variant), m.description] for m in measured], texts=2)


def report_files(folder: Path) -> list[Path]:
    """Lists what `write_report` writes into a folder."""
    return [folder / name for name in (PAGE, *PLOTS)]


def write_report(folder: Path, measured: Sequence[Measured], title: str) -> None:
    """Writes report.html and the plots into a folder, made where missing.

    Raises:
        OutputError: Something cannot be written.
    """
    create_folder(folder)
    plots = draw_plots(measured)
    for name, data in plots.items():
        write_bytes(folder / name, data)
    write_bytes(folder / PAGE, page(measured, title, plots).encode())


def page(measured: Sequence[Measured], title: str, plots: Mapping[str, bytes]) -> str:
    """Returns the HTML page; all images are inside of it.

    Args:
        measured: What was measured, FP32 first.
        title: The page's heading.
        plots: PNG files by name.
    """
    environment = Environment(
        loader=PackageLoader("edge_lpr.calib.comparison", ""),
        autoescape=True,  # names of files and texts come from others
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        title=title,
        summary=summary(measured),
        differences=differences(measured),
        origin=origin(measured),
        plots=[{"name": name, "uri": _uri(data, "png")} for name, data in plots.items()],
        tasks=[
            {
                "title": TITLES[task],
                "subsets": _subsets(measured, task),
                "latencies": _latencies(measured, task),
            }
            for task in measured_tasks(measured)
        ],
        confused=dict(_confused(measured)),
        changed=list(_changed(measured)),
    )


def _metrics(measured: Sequence[Measured], task: EvaluationTask) -> tuple[str, ...]:
    return METRICS[next(type(m.results[task].all) for m in measured if task in m.results)]


def _subsets(measured: Sequence[Measured], task: EvaluationTask) -> Table:
    metrics = _metrics(measured, task)
    with_task = [m for m in measured if task in m.results]
    rows = []
    for subset in with_task[0].results[task].scores:
        for m in with_task:
            score = m.results[task].scores.get(subset)
            if score is not None:
                cells = (metric_text(score, name) for name in metrics)
                rows.append([subset, str(m.variant), *cells])
    return Table(["subset", "variant", *metrics], rows, texts=2)


def _latencies(measured: Sequence[Measured], task: EvaluationTask) -> Table:
    rows = []
    for m in measured:
        if task in m.results:
            times = latency(m.results[task])
            rows.append([str(m.variant), *(f"{t:.2f}" for t in times.values()), f"{m.results[task].fps:.1f}"])
    return Table(["variant", *(f"{q} ms" for q in QUANTILES), "per second"], rows)


def _confused(measured: Sequence[Measured]) -> Iterator[tuple[str, Table]]:
    for m in measured:
        result = m.results.get("rec")
        misses = [] if result is None else result.misses
        counts = confusions((miss.expected[0], miss.found[0]) for miss in misses)
        rows = [[a or "(none)", b or "(none)", str(n)] for (a, b), n in counts.most_common(15)]
        if rows:
            yield str(m.variant), Table(["true", "read as", "times"], rows, texts=2)


def _changed(measured: Sequence[Measured]) -> Iterator[dict[str, Any]]:
    for m in measured[1:]:
        for task, result in m.results.items():
            first = measured[0].results.get(task)
            lost = [miss for miss in result.misses if first is not None and first.right.get(miss.item)]
            if lost:
                figures = [figure for miss in lost[:SHOWN] if (figure := _figure(miss)) is not None]
                title = f"{m.variant}, {TITLES[task].lower()}"
                yield {"title": title, "count": len(lost), "figures": figures}


def _figure(miss: Miss) -> dict[str, str] | None:
    """What the page shows of a miss; None where its image cannot be read."""
    try:
        image = read_image(miss.image)
    except EdgeLprError:
        return None
    if miss.corners is not None:
        image = crop_quad(image, np.array(miss.corners, np.float32))
    scale = min(THUMBNAIL[0] / image.shape[1], THUMBNAIL[1] / image.shape[0])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return {
        "name": Path(miss.image).name,
        "uri": _uri(np.asarray(cv2.imencode(".jpg", small)[1]).tobytes(), "jpeg"),
        "expected": ", ".join(miss.expected) or "no plate",
        "found": ", ".join(miss.found) or "nothing",
    }


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
