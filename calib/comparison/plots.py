"""The plots of a comparison: accuracy, latency, and sizes, as PNG."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from edge_lpr.calib.comparison.compare import GATED, Measured, latency, measured_tasks
from edge_lpr.evaluation.significance import QUANTILES


@dataclass(frozen=True)
class _Panel:
    """One plot of grouped bars: `values` holds a list per name, each with a value per group."""

    title: str
    groups: Sequence[str]
    values: Sequence[Sequence[float]]
    digits: str
    low: float = 0.0


def draw_plots(measured: Sequence[Measured]) -> dict[str, bytes]:
    """Draws what was measured.

    Returns:
        PNG files by name.
    """
    names = [str(m.variant) for m in measured]
    return {name: _bars(panels(measured), names) for name, panels in _PANELS.items()}


def _accuracy(measured: Sequence[Measured]) -> list[_Panel]:
    panels = []
    for task in measured_tasks(measured):
        values = [[getattr(m.results[task].all, GATED[task]) if task in m.results else 0.0] for m in measured]
        # A cut axis shows differences of a point; it starts at a round figure below the lowest bar.
        low = max(0.0, np.floor(20 * (min(map(min, values)) - 0.05)) / 20)
        panels.append(_Panel(f"{task} {GATED[task]}", [""], values, "%.4f", low))
    return panels


def _latency(measured: Sequence[Measured]) -> list[_Panel]:
    panels = []
    for task in measured_tasks(measured):
        times = [latency(m.results[task]) if task in m.results else {} for m in measured]
        values = [[t.get(q, 0.0) for q in QUANTILES] for t in times]
        digits = "%.0f" if max(map(max, values)) >= 100 else "%.1f"
        panels.append(_Panel(f"{task}, milliseconds", QUANTILES, values, digits))
    return panels


def _sizes(measured: Sequence[Measured]) -> list[_Panel]:
    sizes = _Panel("models, MB", [""], [[m.bytes / 1e6] for m in measured], "%.2f")
    memory = _Panel("peak memory, MB", [""], [[(m.peak_bytes or 0) / 1e6] for m in measured], "%.0f")
    return [sizes] if any(m.peak_bytes is None for m in measured) else [sizes, memory]


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
        # A tenth is left above the highest bar, for its figure.
        height = max(map(max, panel.values)) - panel.low or 1.0
        axes.set_ylim(panel.low, panel.low + 1.1 * height)
        if panel.low > 0:
            axes.set_yticks([tick for tick in axes.get_yticks() if tick <= 1])  # shares end at 1
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, frameon=False, ncols=len(names), loc="outside lower center")
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=96)  # a pixel of the page each: one panel is as large in any plot
    return buffer.getvalue()


_PANELS: Mapping[str, Callable[[Sequence[Measured]], list[_Panel]]] = {
    "accuracy.png": _accuracy,
    "latency.png": _latency,
    "size.png": _sizes,
}
PLOTS = tuple(_PANELS)
"""Names of the plots' files."""
