"""Where sources lie: files of this machine and of shared folders, and what fsspec gives by its address."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from edge_lpr.addresses import HIDDEN, SCHEMES, is_address, may_hold_secret, shown_source
from edge_lpr.errors import SourceError, StorageError, one_line
from edge_lpr.io.guarded_open import ByteStream
from edge_lpr.io.image_io import MAX_BYTES
from edge_lpr.io.sniff import HEAD, read_head
from edge_lpr.masking import remember

__all__ = [
    "check_address",
    "check_source",
    "file_system",
    "head_of",
    "modified_of",
    "open_remote",
    "read_bytes",
]

_LIVE = frozenset(SCHEMES) - {"http", "https"}
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")


def check_address(address: str) -> str:
    """Sees that an address may stand in a plan; returns what is shown of it, which is all of it.

    A plan lies in the folder of results, for all to read. So an address with a secret is refused: storage has
    its own places for those.

    Raises:
        SourceError: It has a user, a password or a query, or is a stream's.
    """
    scheme, _, rest = address.strip().partition("://")
    shown = f"{scheme.lower()}://{rest}"
    host = rest.partition("/")[0]
    if scheme.lower() in _LIVE:
        raise SourceError(
            f"{scheme.lower()}://{HIDDEN}: a stream has no end; `edge-lpr` reads it, an archive is of files"
        )
    if "@" in unquote(host) or "?" in rest or "#" in rest or may_hold_secret(f"/{rest}"):
        remember(address)
        raise SourceError(
            f"{scheme.lower()}://{HIDDEN}: has a user, a password or a query, which would stand in the plan; "
            "give those where the storage takes them (AWS_SECRET_ACCESS_KEY, ~/.config/fsspec)"
        )
    return shown


def check_source(source: str) -> None:
    """Sees that a source, as it was typed, may stand in a plan; see `check_address`.

    Raises:
        SourceError: It has a secret, or looks as if it had.
    """
    if is_address(source):
        check_address(source)
    elif may_hold_secret(source) and not Path(source).exists():
        remember(source)
        raise SourceError(
            f"{shown_source(source)}: no file or folder, and no address that an archive can have"
        )


def file_system(address: str) -> tuple[Any, str]:
    """Returns fsspec's file system of an address, and the path in it.

    Raises:
        SourceError: There is none of that scheme, or its package is not installed.
    """
    import fsspec

    try:
        # Not by `url_to_fs`: to it "::" in a name leads into another file system, this machine's too.
        kind = fsspec.get_filesystem_class(address.partition("://")[0])
        return kind(**kind._get_kwargs_from_urls(address)), kind._strip_protocol(address)
    except (ValueError, ImportError) as e:
        raise SourceError(f"{address}: {one_line(e)}") from e
    except Exception as e:  # credentials that are missing, a server that is not there
        raise StorageError(f"{address}: {one_line(e, named=True)}") from e


def read_bytes(address: str, limit: int = MAX_BYTES) -> bytes:
    """Reads a picture's bytes.

    Raises:
        StorageError: It is not there, or cannot be read.
        SourceError: It has more than `limit` bytes.
    """
    with _asked(address), _open(address) as file:
        data: bytes = file.read(limit + 1)
    if len(data) > limit:
        raise SourceError(f"{address}: more than {limit >> 20} MiB, which an image has not")
    return data


def _open(address: str) -> Any:  # noqa: ANN401 - a binary file of Python's or fsspec's
    if is_address(address):
        fs, path = file_system(address)
        return fs.open(path, "rb")
    file = Path(address)
    if not file.is_file():  # a pipe would be waited for
        file.stat()
        raise OSError(errno.EINVAL, "it is not a regular file")
    return file.open("rb")


def open_remote(address: str) -> ByteStream:
    """Opens what lies at an address as bytes that can be read from anywhere.

    Raises:
        StorageError: It is not there, or cannot be read.
    """
    with _asked(address):
        return _Seekable(_open(address), address)


def head_of(address: str) -> bytes:
    """Reads the first bytes, for `edge_lpr.io.sniff`.

    Raises:
        SourceError: It cannot be read.
    """
    if not is_address(address):
        return read_head(Path(address))
    with _asked(address), _open(address) as file:
        return bytes(file.read(HEAD))


def modified_of(info: Mapping[str, Any]) -> float | None:
    """Returns when a file was last changed, in seconds since the epoch, by what its storage says of it."""
    for name in _TIMES:
        value = info.get(name)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value.replace("Z", "+00:00"))
            except ValueError:
                continue
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


class _Seekable:
    """A file of fsspec's as the video decoder takes bytes; what fails says of which address."""

    def __init__(self, file: io.BufferedIOBase, address: str) -> None:
        self._file = file
        self._address = address

    def read(self, size: int, /) -> bytes:
        with _asked(self._address):
            return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()


@contextmanager
def _asked(address: str) -> Iterator[None]:
    """While entered, what fails says of which address."""
    try:
        yield
    except SourceError:
        raise
    except Exception as e:  # of whatever storage there is
        said = getattr(e, "strerror", None) or one_line(e, 120, named=True)
        raise StorageError(f"{address}: cannot be read ({said})") from e
