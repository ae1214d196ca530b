"""The columns of the data set: the fields of the outputs with their types, and those of an archive alone."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from edge_lpr.outputs.records import FIELDS, VERSION

__all__ = ["COLUMNS", "reads_schema", "rows_schema"]

_TEXT, _NUMBER, _SECONDS, _WHOLE = pa.string(), pa.float64(), pa.float64(), pa.int64()
_CANDIDATE = pa.struct([("text", _TEXT), ("score", _NUMBER)])
_TYPES: dict[str, pa.DataType] = {
    "version": pa.int32(),
    "type": _TEXT,
    "source": _TEXT,
    "text": _TEXT,
    "kind": _TEXT,
    "score": _NUMBER,
    "min_score": _NUMBER,
    "char_scores": pa.list_(_NUMBER),
    "reads": _WHOLE,
    "track": _WHOLE,
    "first_frame": _WHOLE,
    "last_frame": _WHOLE,
    "first_seen": _SECONDS,
    "last_seen": _SECONDS,
    "first_utc": _TEXT,
    "last_utc": _TEXT,
    "corners": pa.list_(pa.list_(_NUMBER)),
    "crop": _TEXT,
    "state": _TEXT,
    "id": _TEXT,
    "clock_step": _SECONDS,
    "candidates": pa.list_(_CANDIDATE),
}
_OWN = (
    ("unit", _TEXT, "text", "the unit of work that wrote the row: the name of its file"),
    ("image", pa.binary(), "PNG or null", "the plate's image, of the best read, with --crops; else null"),
)
COLUMNS: tuple[tuple[str, str, str, str], ...] = (
    *((name, str(_TYPES[name]), unit, meaning) for name, unit, meaning in FIELDS),
    *((name, str(kind), unit, meaning) for name, kind, unit, meaning in _OWN),
)
"""Name, Arrow's type, unit and meaning of each column, in order."""


def rows_schema(metadata: dict[str, str] | None = None) -> pa.Schema:
    """Returns the schema of the rows.

    Args:
        metadata: What the file says of itself.
    """
    kinds = {**_TYPES, **{name: kind for name, kind, _, _ in _OWN}}
    fields = [
        pa.field(name, kinds[name], metadata={"unit": unit, "meaning": meaning})
        for name, _, unit, meaning in COLUMNS
    ]
    return pa.schema(fields, {"edge_lpr.version": str(VERSION), **(metadata or {})})


def reads_schema(metadata: dict[str, str]) -> pa.Schema:
    """Returns the schema of a segment's frames, which its video's events are made of.

    Args:
        metadata: What the file says of itself.
    """
    corners = pa.list_(pa.float32())
    read: list[tuple[str, Any]] = [
        ("text", _TEXT),
        ("kind", _TEXT),
        ("score", _NUMBER),
        ("min_score", _NUMBER),
        ("char_scores", pa.list_(_NUMBER)),
        ("corners", corners),
        ("det_score", _NUMBER),
        ("log_probs", pa.binary()),
        ("candidates", pa.list_(_CANDIDATE)),
        ("track", _WHOLE),
        ("image", pa.binary()),
    ]
    kept = pa.struct([("track", _WHOLE), ("corners", corners)])
    return pa.schema(
        [
            ("frame", _WHOLE),
            ("time", _SECONDS),
            ("reads", pa.list_(pa.struct(read))),
            ("kept", pa.list_(kept)),
        ],
        metadata,
    )
