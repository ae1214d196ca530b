"""A comparison as one terminal table, one HTML file that needs no other, and PNG plots beside it."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from edge_lpr.calib.comparison.compare import GATED, Measured, latency, losses, pairs
from edge_lpr.errors import EdgeLprError, OutputError
from edge_lpr.evaluation.evaluate import METRICS, Miss
from edge_lpr.evaluation.significance import confusions
from edge_lpr.evaluation.tables import align
from edge_lpr.geometry import crop_quad
from edge_lpr.io.atomic_io import write_bytes
from edge_lpr.io.image_io import read_image

# Images shown of those that changed from right to wrong; all of them are in the JSON.
SHOWN = 24
THUMBNAIL = (320, 200)
QUANTILES = ("p50", "p90", "p99")
TITLES = {"det": "Detection", "rec": "Recognition", "e2e": "End to end"}

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1f24}
table{border-collapse:collapse;margin:.6rem 0 1.4rem}td,th{padding:.25rem .7rem;text-align:right;
border-bottom:1px solid #d8dee4}td:first-child,th:first-child{text-align:left}th{font-weight:600}
figure{display:inline-block;margin:.4rem;vertical-align:top;max-width:20rem}figure.plot{max-width:none}figcaption{font-size:.85rem}
img{max-width:100%}h2{margin-top:2rem}.bad{color:#b42318}.good{color:#067647}small{color:#57606a}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}td,th{border-color:#30363d}}
"""


def summary(measured: Sequence[Measured]) -> str:
    """Lays the comparison out as one table for a terminal."""
    head, rows = _summary_rows(measured)
    return align([head, *rows])


def _summary_rows(measured: Sequence[Measured]) -> tuple[list[str], list[list[str]]]:
    """One row per figure, one column per variant: there are more figures than a terminal is wide."""
    rows = []
    for task in _tasks(measured):
        results = [m.results.get(task) for m in measured]
        kind = next(type(result.all) for result in results if result is not None)
        for name in METRICS[kind]:
            cells = ["-" if r is None else f"{getattr(r.all, name):.4f}" for r in results]
            rows.append([f"{task} {name}", *cells])
        times = [{} if r is None else latency(r) for r in results]
        rows += [[f"{task} {q} ms", *(f"{t[q]:.1f}" if t else "-" for t in times)] for q in QUANTILES]
        rows.append([f"{task} per second", *("-" if r is None else f"{r.fps:.1f}" for r in results)])
    rows.append(["models MB", *(f"{m.bytes / 1e6:.2f}" for m in measured)])
    rows.append(
        ["peak memory MB", *("-" if m.peak_bytes is None else f"{m.peak_bytes / 1e6:.0f}" for m in measured)]
    )
    return ["", *(str(m.variant) for m in measured)], rows


def _tasks(measured: Sequence[Measured]) -> list[str]:
    return [task for task in GATED if any(task in m.results for m in measured)]


def differences(measured: Sequence[Measured]) -> str:
    """Lays out what each variant loses against FP32, with confidence intervals."""
    head, rows = _difference_rows(measured)
    return align([head, *rows]) if rows else ""


def _difference_rows(measured: Sequence[Measured]) -> tuple[list[str], list[list[str]]]:
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
    return head, rows


def write_report(folder: Path, measured: Sequence[Measured], title: str) -> None:
    """Writes report.html and the plots into a folder, made where missing.

    Raises:
        OutputError: Something cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise OutputError(f"{folder}: cannot be made ({e.strerror or e})") from e
    plots = {
        "accuracy.png": _accuracy_plot(measured),
        "latency.png": _latency_plot(measured),
        "size.png": _size_plot(measured),
    }
    for name, data in plots.items():
        write_bytes(folder / name, data)
    write_bytes(folder / "report.html", page(measured, title, plots).encode())


def page(measured: Sequence[Measured], title: str, plots: dict[str, bytes]) -> str:
    """Returns the HTML page; all images are inside of it."""
    body = [f"<h1>{html.escape(title)}</h1>", _table(*_summary_rows(measured))]
    body.append(
        "<small>Times are those of one image (one plate, for recognition in batches), images decoded "
        "before. Peak is the process's resident memory.</small>"
    )
    head, rows = _difference_rows(measured)
    if rows:
        body += ["<h2>Against FP32</h2>", _table(head, rows)]
        body.append(
            "<small>Points: change of det hmean, rec acc and e2e recall. Items right: share of images (of "
            "plates, for recognition) read as labelled, with the bootstrap's 95 % interval.</small>"
        )
    body.append("<h2>Plots</h2>")
    body += [f'<figure class="plot">{_image(data, "png", name)}</figure>' for name, data in plots.items()]
    for task in GATED:
        if task in _tasks(measured):
            body += [
                f"<h2>{TITLES[task]} by subset</h2>",
                _subsets(measured, task),
                _latencies(measured, task),
            ]
    body.append(_confusion_tables(measured))
    body.append(_changed(measured))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>{"".join(body)}</html>\n'
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["<table><tr>", *(f"<th>{html.escape(cell)}</th>" for cell in head), "</tr>"]
    for row in rows:
        lines += ["<tr>", *(f"<td>{html.escape(cell)}</td>" for cell in row), "</tr>"]
    return "".join([*lines, "</table>"])


def _image(data: bytes, kind: str, alt: str) -> str:
    return f'<img alt="{html.escape(alt)}" src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'


def _subsets(measured: Sequence[Measured], task: str) -> str:
    kind = next(type(m.results[task].all) for m in measured if task in m.results)
    rows = [
        [
            subset,
            str(m.variant),
            *(f"{getattr(m.results[task].scores[subset], name):.4f}" for name in METRICS[kind]),
        ]
        for subset in next(m.results[task].scores for m in measured if task in m.results)
        for m in measured
        if task in m.results and subset in m.results[task].scores
    ]
    return _table(["subset", "variant", *METRICS[kind]], rows)


def _latencies(measured: Sequence[Measured], task: str) -> str:
    rows = [
        [
            str(m.variant),
            *(f"{value:.2f}" for value in latency(m.results[task]).values()),
            f"{m.results[task].fps:.1f}",
        ]
        for m in measured
        if task in m.results
    ]
    return _table(["variant", "p50 ms", "p90 ms", "p99 ms", "per second"], rows)


def _confusion_tables(measured: Sequence[Measured]) -> str:
    parts = []
    for m in measured:
        result = m.results.get("rec")
        if result is None:
            continue
        counts = confusions((miss.expected[0], miss.found[0]) for miss in result.misses)
        rows = [[a or "(none)", b or "(none)", str(n)] for (a, b), n in counts.most_common(15)]
        if rows:
            parts += [f"<h3>{html.escape(str(m.variant))}</h3>", _table(["true", "read as", "times"], rows)]
    return "".join(["<h2>Characters confused</h2>", *parts]) if parts else ""


def _changed(measured: Sequence[Measured]) -> str:
    parts = []
    for m in measured[1:]:
        for task, result in m.results.items():
            first = measured[0].results.get(task)
            lost = [miss for miss in result.misses if first is not None and first.right.get(miss.item)]
            if lost:
                parts.append(f"<h3>{html.escape(str(m.variant))}, {TITLES[task].lower()}: {len(lost)}</h3>")
                parts += [_figure(miss) for miss in lost[:SHOWN]]
    return "".join(["<h2>From right to wrong</h2>", *parts]) if parts else ""


def _figure(miss: Miss) -> str:
    try:
        image = read_image(miss.image)
    except EdgeLprError:
        return ""
    if miss.corners is not None:
        image = crop_quad(image, np.array(miss.corners, np.float32))
    scale = min(THUMBNAIL[0] / image.shape[1], THUMBNAIL[1] / image.shape[0])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    encoded = np.asarray(cv2.imencode(".jpg", small)[1]).tobytes()
    expected, found = ", ".join(miss.expected) or "no plate", ", ".join(miss.found) or "nothing"
    caption = (
        f'<span class="good">{html.escape(expected)}</span> → <span class="bad">{html.escape(found)}</span>'
    )
    name = html.escape(Path(miss.image).name)
    text = f"<figcaption>{caption}<br><small>{name}</small></figcaption>"
    return f"<figure>{_image(encoded, 'jpeg', name)}{text}</figure>"


def _bars(panels: Sequence[_Panel], names: Sequence[str]) -> bytes:
    """Draws panels of grouped bars side by side, a colour for each of `names`."""
    figure = Figure(figsize=(1 + 3.1 * len(panels), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    width = 0.8 / len(names)
    grid = figure.subplots(1, len(panels), squeeze=False)
    for panel, axes in zip(panels, grid[0], strict=True):
        for i, values in enumerate(panel.values):
            places = np.arange(len(panel.groups)) + (i - (len(names) - 1) / 2) * width
            bars = axes.bar(places, values, width * 0.95, label=names[i])
            axes.bar_label(bars, fmt=panel.digits, fontsize=7, padding=1)
        axes.set_xticks(np.arange(len(panel.groups)), panel.groups)
        axes.set_title(panel.title, fontsize=10)
        axes.set_ylim(bottom=panel.low)
        axes.margins(y=0.12)
        if panel.low > 0:
            axes.set_yticks([tick for tick in axes.get_yticks() if tick <= 1])  # shares end at 1
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, frameon=False, ncols=len(names), loc="outside lower center")
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=96)  # a pixel of the page each: one panel is as large in any plot
    return buffer.getvalue()


@dataclass(frozen=True)
class _Panel:
    """One plot of grouped bars: `values` holds a list per name, each with a value per group."""

    title: str
    groups: Sequence[str]
    values: Sequence[Sequence[float]]
    digits: str
    low: float = 0.0


def _accuracy_plot(measured: Sequence[Measured]) -> bytes:
    panels = []
    for task in _tasks(measured):
        values = [[getattr(m.results[task].all, GATED[task]) if task in m.results else 0.0] for m in measured]
        # A cut axis shows differences of a point; it starts at a round figure below the lowest bar.
        low = max(0.0, np.floor(20 * (min(map(min, values)) - 0.05)) / 20)
        panels.append(_Panel(f"{task} {GATED[task]}", [""], values, "%.4f", low))
    return _bars(panels, [str(m.variant) for m in measured])


def _latency_plot(measured: Sequence[Measured]) -> bytes:
    panels = []
    for task in _tasks(measured):
        times = [latency(m.results[task]) if task in m.results else {} for m in measured]
        values = [[t.get(q, 0.0) for q in QUANTILES] for t in times]
        digits = "%.0f" if max(map(max, values)) >= 100 else "%.1f"
        panels.append(_Panel(f"{task}, milliseconds", QUANTILES, values, digits))
    return _bars(panels, [str(m.variant) for m in measured])


def _size_plot(measured: Sequence[Measured]) -> bytes:
    sizes = _Panel("models, MB", [""], [[m.bytes / 1e6] for m in measured], "%.2f")
    memory = _Panel("peak memory, MB", [""], [[(m.peak_bytes or 0) / 1e6] for m in measured], "%.0f")
    panels = [sizes] if any(m.peak_bytes is None for m in measured) else [sizes, memory]
    return _bars(panels, [str(m.variant) for m in measured])
