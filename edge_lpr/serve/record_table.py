"""Records as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_lpr.io.csv_text import csv_row

__all__ = ["COLUMNS", "record_cells", "record_row"]

_CORNERS = tuple(f"{axis}{i}" for i in range(1, 5) for axis in "xy")
COLUMNS = (
    *("id", "revision", "state", "camera", "site", "role", "text", "kind", "score", "min_score"),
    *("char_scores", "candidates", "reads", "first_utc", "last_utc", "direction", "action", "list", "name"),
    *_CORNERS,
    *("crop", "frame"),
)
"""The table's columns; "list" and "name" are those of the list that counts, "x1" to "y4" the corners."""


def record_row(record: Mapping[str, Any]) -> str:
    """Returns the row of a record, as `PassageRecord.to_dict` has it, with its end; no cell is a formula."""
    return csv_row(record_cells(record))


def record_cells(record: Mapping[str, Any]) -> list[object]:
    """Returns the cells of a record's row, in the order of `COLUMNS`.

    Args:
        record: As `PassageRecord.to_dict` has it.
    """
    match = record["matches"][0] if record["matches"] else {"list": "", "name": ""}
    corners = [value for point in record["corners"] for value in point]
    values = {
        **record,
        "list": match["list"],
        "name": match["name"],
        "char_scores": " ".join(map(str, record["char_scores"])),
        "candidates": " ".join(f"{text}:{score}" for text, score in record["candidates"]),
        **dict(zip(_CORNERS, corners or [""] * len(_CORNERS), strict=True)),
    }
    return [values[name] for name in COLUMNS]
