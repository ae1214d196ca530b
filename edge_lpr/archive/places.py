"""Where an archive is written: a folder that all machines see, or an object store, by its address.

A file of an archive is there whole or not at all. In a folder it is written aside and renamed. An object
store has no renaming: there it is sent as one object, which nobody sees before the store has all of it.
"""

from __future__ import annotations

import io
import secrets
import shutil
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from edge_lpr.addresses import is_address
from edge_lpr.archive.object_store import Address
from edge_lpr.archive.storage import check_address, file_system
from edge_lpr.environment import cache_folder
from edge_lpr.errors import InputError, OutputError, SettingError, one_line
from edge_lpr.io.atomic_io import create_folder, write_bytes
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.out_file import PartFile

__all__ = [
    "Place",
    "create",
    "lock_of",
    "opened",
    "place_of",
    "read_table",
    "read_whole",
    "remove_all",
    "write_table",
    "write_whole",
]

# Whose objects are there whole or not at all; a file of others could be seen half written.
_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory")

Place = Path | Address
"""A file or folder of an archive."""


def place_of(out: str) -> Place:
    """Returns the place that `--out` names.

    Raises:
        SettingError: It is an address of something whose files can be seen half written.
        SourceError: It is an address with a secret, or of a stream.
    """
    if not is_address(out):
        return Path(out).absolute()
    address = check_address(out).rstrip("/")
    if address.partition("://")[0] not in _OBJECT_STORES:
        raise SettingError(
            f"--out {address}: expected a folder, or an object store "
            f"({'://, '.join(_OBJECT_STORES[:-1])}://), whose files are there whole or not at all"
        )
    return Address(address)


def create(place: Place) -> None:
    """Creates a folder, and sees that it can be written to; an object store needs none.

    Raises:
        OutputError: It cannot.
    """
    if isinstance(place, Path):
        create_folder(place)


def write_whole(place: Place, data: bytes, *, durable: bool = True) -> None:
    """Writes a file whole, or leaves what is there as it is.

    Args:
        place: The file.
        data: What it is to hold.
        durable: See `edge_lpr.io.atomic_io.write_with`.

    Raises:
        OutputError: It cannot be written.
    """
    if isinstance(place, Path):
        write_bytes(place, data, durable=durable)
        return
    try:
        fs, path = file_system(place.text)
        fs.pipe_file(path, data)  # one object, or the parts of one that the last call puts together
    except Exception as e:  # of whatever storage there is
        raise OutputError(f"{place}: cannot be written ({one_line(e, 120, named=True)})") from e


def write_table(place: Place, table: pa.Table) -> None:
    """Writes a Parquet file whole.

    Raises:
        OutputError: It cannot be written.
    """
    if isinstance(place, Address):
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        write_whole(place, buffer.getvalue())
        return
    part: PartFile | None = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        # Processes of several machines may have one number, and write one file.
        part = PartFile(place, f".{secrets.token_hex(8)}")
        pq.write_table(table, part, compression="zstd")
        part.complete()
        part = None
    except (OSError, pa.ArrowException) as e:
        raise OutputError(
            f"{place}: cannot be written ({getattr(e, 'strerror', None) or one_line(e, 120)})"
        ) from e
    finally:
        if part is not None:
            part.discard()


def read_table(file: BinaryIO) -> pa.Table:
    """Reads a Parquet file.

    Not by `pyarrow.parquet.read_table`: its threads give back what they have read from a file of Python's
    after it has returned, and where the process is ending by then, that aborts it (exit code 134).
    """
    return pq.ParquetFile(file, pre_buffer=False).read(use_threads=False)


def read_whole(place: Place, limit: int, what: str, missing: str) -> bytes:
    """Reads a file of at most so many bytes; see `edge_lpr.io.bounded_io.read_bounded`.

    Raises:
        InputError: It is not there, cannot be read, or has more.
    """
    if isinstance(place, Path):
        return read_bounded(place, limit, what, InputError, missing=missing)
    try:
        size = place.stat().st_size
        if size <= limit:
            return place.read_bytes()
    except FileNotFoundError as e:
        raise InputError(missing) from e
    raise InputError(f"{place}: {size} bytes, larger than {limit >> 20} MiB: not {what}")


def opened(place: Place) -> BinaryIO:
    """Opens a file to be read.

    Raises:
        FileNotFoundError: It is not there.
    """
    if isinstance(place, Path):
        return place.open("rb")
    return io.BytesIO(place.read_bytes())


def remove_all(place: Place) -> None:
    """Removes a folder and all in it, as far as that goes."""
    if isinstance(place, Path):
        shutil.rmtree(place, ignore_errors=True)
        return
    place.remove_all()


def lock_of(place: Place) -> Path:
    """Returns the folder of this machine that is held while a run works at a place."""
    if isinstance(place, Path):
        return place
    from edge_lpr.archive.units import identifier

    return cache_folder("archives") / identifier(place.text)
