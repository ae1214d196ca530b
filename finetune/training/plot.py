"""An image of a training run: loss and metrics over the steps."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from edge_lpr.io.atomic_io import write_bytes

__all__ = ["plot_history"]

History = dict[str, list[dict[str, float]]]


def plot_history(history: History, metric: str, path: Path) -> None:
    """Draws the loss (logarithmic) and, on the right-hand axis, the metrics between 0 and 1.

    Args:
        history: What `trainer.train` returns.
        metric: The metric that decides which weights are best.
        path: The PNG to write.

    Raises:
        OutputError: It cannot be written.
    """
    figure = Figure(figsize=(9, 4.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    left = figure.add_subplot()
    losses = history["loss"]
    left.plot([r["step"] for r in losses], [r["loss"] for r in losses], color="0.4", label="loss")
    left.set_xlabel("step")
    left.set_ylabel("loss, mean of the last 50 steps")
    if losses and all(r["loss"] > 0 for r in losses):
        left.set_yscale("log")
    right = left.twinx()
    names = [n for n in (history["metrics"] or [{}])[0] if n not in ("step", "loss")]
    for name in names:
        rows = [(r["step"], r[name]) for r in history["metrics"]]
        right.plot(
            *zip(*rows, strict=True),
            marker="o",
            markersize=3,
            linewidth=2 if name == metric else 1,
            label=name,
        )
    right.set_ylabel("metrics of the averaged weights")
    figure.legend(loc="outside upper center", ncols=1 + len(names))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_bytes(path, buffer.getvalue())
