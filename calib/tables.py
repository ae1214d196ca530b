"""Figures as text tables and JSON files."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_lpr.calib.evaluate import METRICS
from edge_lpr.calib.metrics import DetScore, EndToEndScore, RecScore
from edge_lpr.errors import OutputError


def table(scores: Mapping[str, DetScore | RecScore | EndToEndScore]) -> str:
    """Lays out scores by subset: metrics to four places, then the counts."""
    kind = type(next(iter(scores.values())))
    counts = [name for name in asdict(kind()) if name not in ("distance", "edits", "characters")]
    counts = [name for name in counts if not name.startswith("script_")]
    rows = [["subset", *METRICS[kind], *counts]]
    for subset, score in scores.items():
        metrics = [f"{getattr(score, name):.4f}" for name in METRICS[kind]]
        rows.append([subset, *metrics, *(str(getattr(score, name)) for name in counts)])
    return align(rows)


def align(rows: Sequence[Sequence[str]]) -> str:
    """Joins rows of cells into lines, the first column to the left, the others to the right.

    Chinese characters count as the two columns that a terminal gives them.
    """
    widths = [max(map(_columns, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        padded = [" " * (width - _columns(cell)) for cell, width in zip(row, widths, strict=True)]
        cells = [row[0] + padded[0], *(pad + cell for pad, cell in zip(padded[1:], row[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def write_json(target: str | Path, data: Mapping[str, Any]) -> None:
    """Writes JSON, to standard output for "-"; a file appears whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    text = json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    if str(target) == "-":
        sys.stdout.write(text)
    else:
        write_atomically(target, text.encode())


def write_atomically(target: str | Path, data: bytes) -> None:
    """Writes a file aside and renames it, so that it appears whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    path = Path(target)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        aside.write_bytes(data)
        os.replace(aside, path)  # noqa: PTH105
    except OSError as e:
        raise OutputError(f"{path}: cannot be written ({e.strerror or e})") from e
    finally:
        aside.unlink(missing_ok=True)
