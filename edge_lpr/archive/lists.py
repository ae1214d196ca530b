"""Lists of sources: a text file with one a line, or a column of a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_lpr.errors import SourceError, one_line
from edge_lpr.io.walk import unreadable

__all__ = ["addresses_in"]

_PARQUET = b"PAR1"
_LONGEST = 8192  # bytes of a line; a name of a file has 4096 at most
_NAMES = ("address", "path", "url", "uri", "file", "source")


def addresses_in(path: Path, column: str | None = None) -> Iterator[str]:
    """Gives the sources that a file lists.

    Args:
        path: Text in UTF-8, one source a line, empty ones and those that begin with "#" left out; or a
            Parquet file.
        column: The column of a Parquet file; None takes the only one of text, or one that is called so.

    Raises:
        SourceError: It cannot be read, is neither, or has no such column.
    """
    try:
        if not path.is_file():
            path.stat()
            raise SourceError(f"@{path}: not a regular file")
        with path.open("rb") as file:
            if file.read(4) == _PARQUET:
                yield from _of_parquet(path, column)
                return
            file.seek(0)
            while line := file.readline(_LONGEST + 1):
                if len(line) > _LONGEST or b"\0" in line:
                    raise SourceError(f"@{path}: neither a text file with one source a line nor Parquet")
                text = line.decode("utf-8", "surrogateescape").removeprefix("\ufeff").strip()
                if text and not text.startswith("#"):
                    yield text
    except OSError as e:
        raise SourceError(unreadable(f"@{path}", e)) from e


def _of_parquet(path: Path, column: str | None) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            texts = [one.name for one in file.schema_arrow if _is_text(one.type)]
            name = column or (texts[0] if len(texts) == 1 else next((n for n in _NAMES if n in texts), None))
            if name not in texts:
                there = ", ".join(texts) or "none"
                several = "several columns of text" if texts else "no column of text"
                wanted = f"no column {name!r} of text" if name else several
                remedy = ": give one as --column NAME" if texts else ""
                raise SourceError(f"@{path}: {wanted}; it has {there}{remedy}")
            for batch in file.iter_batches(columns=[name]):
                for value in batch.column(0).to_pylist():
                    if value:
                        yield str(value)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as e:
        raise SourceError(f"@{path}: no Parquet file that can be read ({one_line(e, 120)})") from e


def _is_text(kind: Any) -> bool:  # noqa: ANN401 - an Arrow type
    """Tells whether values of a type are texts, each by itself or by its number in a list."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
