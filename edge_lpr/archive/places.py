"""Where an archive is written: a folder that all machines see, or an object store, by its address.

A file of an archive is there whole or not at all. In a folder it is written aside and renamed. An object
store has no renaming: there it is sent as one object, which nobody sees before the store has all of it.
"""

from __future__ import annotations

import io
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from edge_lpr.addresses import is_address
from edge_lpr.archive.storage import StorageError, check_address, file_system
from edge_lpr.environment import cache_folder
from edge_lpr.errors import InputError, OutputError, SettingError, one_line
from edge_lpr.io.atomic_io import create_folder, write_bytes
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.out_file import PartFile

__all__ = [
    "BEGIN",
    "Address",
    "Notes",
    "Place",
    "create",
    "lock_of",
    "notes_at",
    "opened",
    "place_of",
    "read_table",
    "read_whole",
    "remove_all",
    "write_table",
    "write_whole",
]

BEGIN = b"begin\n"
"""The line of `Notes` with which an attempt begins."""
# Whose objects are there whole or not at all; a file of others could be seen half written.
_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory")


@dataclass(frozen=True)
class Address:
    """A name in an object store, with what an archive asks of a `Path`.

    Attributes:
        text: The address, "s3://bucket/plates".

    Raises:
        StorageError: From all that asks the store: it cannot be asked.
    """

    text: str

    def __truediv__(self, name: str) -> Address:
        return Address(f"{self.text}/{name}" if name else self.text)

    def __str__(self) -> str:
        return self.text

    @property
    def name(self) -> str:
        """Its last part."""
        return PurePosixPath(self.text).name

    @property
    def stem(self) -> str:
        """Its last part without the suffix."""
        return PurePosixPath(self.text).stem

    def exists(self) -> bool:
        """Tells whether there is such an object, or one below it."""
        with _asked(self) as (fs, path):
            return bool(fs.exists(path))

    is_file = exists

    def iterdir(self) -> Iterator[Address]:
        """Gives what lies in it.

        Raises:
            FileNotFoundError: Nothing does.
        """
        with _asked(self) as (fs, path):
            names = {PurePosixPath(found.rstrip("/")).name for found in fs.ls(path, detail=False)}
        yield from (self / name for name in sorted(names) if name and name != self.name)

    def glob(self, pattern: str) -> Iterator[Address]:
        """Gives what lies in it and in folders of it, by a pattern for each of those, "day=*/*.parquet"."""
        first, _, rest = pattern.partition("/")
        with suppress(FileNotFoundError):
            for found in [self / first] if "*" not in first else [*self.iterdir()]:
                if fnmatchcase(found.name, first):
                    yield from found.glob(rest) if rest else iter((found,))

    def read_bytes(self) -> bytes:
        """Returns its bytes.

        Raises:
            FileNotFoundError: It is not there.
        """
        with _asked(self) as (fs, path):
            return bytes(fs.cat_file(path))

    def read_text(self, encoding: str) -> str:
        """Returns its text."""
        return self.read_bytes().decode(encoding)

    def stat(self) -> SimpleNamespace:
        """Returns its size, as `Path.stat` does."""
        with _asked(self) as (fs, path):
            return SimpleNamespace(st_size=int(fs.info(path)["size"]))

    def unlink(self, missing_ok: bool = False) -> None:
        """Removes it.

        Raises:
            FileNotFoundError: It is not there, and that is not `missing_ok`.
        """
        try:
            with _asked(self) as (fs, path):
                fs.rm_file(path)
        except FileNotFoundError:
            if not missing_ok:
                raise


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
    with suppress(FileNotFoundError), _asked(place) as (fs, path):
        fs.rm(path, recursive=True)


def lock_of(place: Place) -> Path:
    """Returns the folder of this machine that is held while a run works at a place."""
    if isinstance(place, Path):
        return place
    from edge_lpr.archive.units import identifier

    return cache_folder("archives") / identifier(place.text)


class Notes(Protocol):
    """A small file that is added to; what cannot be written is left out."""

    def read(self) -> bytes:
        """Returns all that was noted; nothing where nothing was."""
        ...

    def add(self, line: bytes) -> None:
        """Adds a line."""
        ...

    def close(self) -> None:
        """Ends the notes, and forgets them."""
        ...


def notes_at(place: Place) -> Notes:
    """Returns the notes that are kept at a place."""
    return _FileNotes(place) if isinstance(place, Path) else _ObjectNotes(place)


class _FileNotes:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def read(self) -> bytes:
        with suppress(OSError):
            return self._path.read_bytes()
        return b""

    def add(self, line: bytes) -> None:
        # Not written through to the disk: what is to be survived is the end of a process.
        with suppress(OSError):
            if self._file is None:
                self._file = self._path.open("ab", buffering=0)
            self._file.write(line)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        with suppress(OSError):
            self._path.unlink()


class _ObjectNotes:
    """Objects cannot be added to. So the first attempt at a unit sends one, and only those after it more."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._text: bytes | None = None

    def read(self) -> bytes:
        if self._text is None:
            self._text = b""
            with suppress(Exception):  # of whatever storage there is
                self._text = self._address.read_bytes()
        return self._text

    def add(self, line: bytes) -> None:
        self._text = self.read() + line
        if line == BEGIN or self._text.count(BEGIN) > 1:
            with suppress(OutputError):
                write_whole(self._address, self._text)

    def close(self) -> None:
        with suppress(Exception):
            self._address.unlink(missing_ok=True)


@contextmanager
def _asked(address: Address) -> Iterator[tuple[Any, str]]:
    """Gives the file system of an address and the path in it; what it remembers of it is forgotten."""
    fs, path = file_system(address.text)
    fs.invalidate_cache()
    try:
        yield fs, path
    except FileNotFoundError:
        raise
    except Exception as e:  # of whatever storage there is
        raise StorageError(f"{address}: cannot be asked for ({one_line(e, 120, named=True)})") from e
