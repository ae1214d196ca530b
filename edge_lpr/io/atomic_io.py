"""Files that are written whole: what has the name is the old file or the new one, at every moment."""

from __future__ import annotations

import errno
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from edge_lpr.errors import OutputError
from edge_lpr.io.out_file import OutFile, PartFile, is_special, output_error
from edge_lpr.io.plain_data import escape_controls

__all__ = ["check_writable", "create_folder", "json_text", "write_bytes", "write_json", "write_with"]


def write_bytes(path: str | Path, data: bytes | memoryview, *, durable: bool = True) -> None:
    """Writes a file whole, or leaves what is there as it is.

    Args:
        path: The file.
        data: What it is to hold.
        durable: Whether it is on the disk before it has its name; see `write_with`.

    Raises:
        OutputError: It cannot be written.
    """
    write_with(path, lambda file: file.write(data), durable=durable)


def write_json(path: str | Path, data: Mapping[str, Any], indent: int | None = 1) -> None:
    """Writes JSON whole, or leaves what is there as it is.

    Args:
        path: The file; "-" is standard output.
        data: What it is to hold; no NaN in it.
        indent: Blanks per level; None for one line.

    Raises:
        OutputError: It cannot be written.
    """
    text = json_text(data, indent)
    if str(path) == "-":
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as e:
            raise output_error(Path("standard output"), e) from e
    else:
        write_bytes(path, text.encode())


def json_text(data: Mapping[str, Any], indent: int | None = 1) -> str:
    """Returns JSON as `write_json` writes it: in Unicode, control characters escaped.

    Args:
        data: What it is to hold; no NaN in it.
        indent: Blanks per level; None for one line.
    """
    return escape_controls(json.dumps(data, ensure_ascii=False, indent=indent, allow_nan=False)) + "\n"


def write_with(path: str | Path, write: Callable[[IO[bytes]], object], *, durable: bool = True) -> None:
    """Has a function write a file, and gives it its name once all of it is on the disk.

    Args:
        path: The file; a link is followed, a device or pipe is written to as it is.
        write: Writes into the open file that it is given.
        durable: Whether all of it is on the disk before it has its name: a power cut leaves the old file or
            the new one, and an error leaves what was written beside, under the name that the message says.
            Not for one of many small files that are soon made again, where it would take longer than the
            writing.

    Raises:
        OutputError: It cannot be written; what was there before is untouched.
    """
    shown = Path(path)
    part: PartFile | None = None
    kept = False
    try:
        path = Path(os.path.realpath(shown))
        if is_special(path):
            with OutFile(path, "w", exclusive=False) as file:
                write(file)
            return
        part = PartFile(path)
        write(part)
        part.complete(durable)
        kept = True
    except OSError as e:
        if part is not None and durable:
            kept = True
            raise part.failure(shown, e) from e
        raise output_error(shown, e) from e
    finally:
        if part is not None and not kept:
            part.discard()


def check_writable(path: str | Path | None) -> None:
    """Sees that a file can be written whole, before work is put into what it is to hold.

    Args:
        path: The file; nothing is done for None and for "-", which is standard output.

    Raises:
        OutputError: It cannot.
    """
    if path is None or str(path) == "-":
        return
    real = Path(os.path.realpath(path))
    try:
        if real.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not is_special(real):
            PartFile(real).discard()
    except OSError as e:
        raise output_error(Path(path), e) from e


def create_folder(folder: Path) -> None:
    """Creates a folder with its parents, and sees that it can be written to.

    Raises:
        OutputError: It cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileExistsError as e:
        raise OutputError(f"{folder}: cannot be written (a file, expected a folder)") from e
    except OSError as e:
        raise output_error(folder, e) from e
