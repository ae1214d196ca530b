"""Figures as text tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

from edge_lpr.console.progress import columns
from edge_lpr.evaluation.evaluate import METRICS
from edge_lpr.evaluation.metrics import DetScore, EndToEndScore, RecScore

# Counts that are only there to compute a metric from.
_HIDDEN = ("distance", "edits", "characters", "script_hits", "script_labelled", "script_reported")


def table(scores: Mapping[str, DetScore | RecScore | EndToEndScore]) -> str:
    """Lays out scores by subset: metrics to four places ("-" where nothing is labelled), then the counts."""
    kind = type(next(iter(scores.values())))
    counts = [f.name for f in fields(kind) if f.name not in _HIDDEN]
    rows = [["subset", *METRICS[kind], *counts]]
    for subset, score in scores.items():
        # The metrics' definitions give 0 to images without plates, which would read as a failure.
        none = getattr(score, "labelled", 1) == 0
        metrics = ["-" if none else f"{getattr(score, name):.4f}" for name in METRICS[kind]]
        rows.append([subset, *metrics, *(str(getattr(score, name)) for name in counts)])
    return align(rows)


def align(rows: Sequence[Sequence[str]]) -> str:
    """Joins rows of cells into lines, the first column to the left, the others to the right."""
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        padded = [" " * (width - columns(cell)) for cell, width in zip(row, widths, strict=True)]
        cells = [row[0] + padded[0], *(pad + cell for pad, cell in zip(padded[1:], row[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
