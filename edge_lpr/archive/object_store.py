"""Names in an object store, with what an archive asks of a `Path`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

from edge_lpr.archive.storage import file_system
from edge_lpr.errors import StorageError, one_line

__all__ = ["Address"]


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
        with self._asked() as (fs, path):
            return bool(fs.exists(path))

    is_file = exists

    def iterdir(self) -> Iterator[Address]:
        """Gives what lies in it.

        Raises:
            FileNotFoundError: Nothing does.
        """
        with self._asked() as (fs, path):
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
        with self._asked() as (fs, path):
            return bytes(fs.cat_file(path))

    def read_text(self, encoding: str) -> str:
        """Returns its text."""
        return self.read_bytes().decode(encoding)

    def stat(self) -> SimpleNamespace:
        """Returns its size, as `Path.stat` does."""
        with self._asked() as (fs, path):
            return SimpleNamespace(st_size=int(fs.info(path)["size"]))

    def remove_all(self) -> None:
        """Removes all that lies below it; nothing where nothing does."""
        with suppress(FileNotFoundError), self._asked() as (fs, path):
            fs.rm(path, recursive=True)

    def unlink(self, missing_ok: bool = False) -> None:
        """Removes it.

        Raises:
            FileNotFoundError: It is not there, and that is not `missing_ok`.
        """
        try:
            with self._asked() as (fs, path):
                fs.rm_file(path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    @contextmanager
    def _asked(self) -> Iterator[tuple[Any, str]]:
        """Gives its file system and the path in it; what that remembers of it is forgotten."""
        fs, path = file_system(self.text)
        fs.invalidate_cache()
        try:
            yield fs, path
        except FileNotFoundError:
            raise
        except Exception as e:  # of whatever storage there is
            raise StorageError(f"{self}: cannot be asked for ({one_line(e, 120, named=True)})") from e
