"""Which files a run reads and which it writes: no output is written over an input, nor over another output.

Files are told apart by themselves, not by their names: ``o``, ``./o``, a link to it and another name of it (a
hard link) are one file. This is the one place where that is checked: every command that writes goes through
`check_outputs`, and what finds the names of its files on the way asks its run's `Claims`.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from edge_lpr.errors import SettingError

__all__ = ["Claims", "Named", "check_outputs", "files_in"]

Named = tuple[str, str | Path | None]
"""What a file is called in messages, as an option or argument, and its path; None for an option not given."""
_Identity = tuple[object, ...]
_FOLDS_CASE = sys.platform in ("win32", "darwin")


class Claims:
    """The files of one run.

    Args:
        inputs: What is read. Looked at only once an output is there already: one that is not cannot be read.
    """

    def __init__(self, inputs: Iterable[Named] = ()) -> None:
        self._inputs = iter(inputs)
        self._read: dict[_Identity, str] = {}
        self._written: dict[_Identity, str] = {}

    def claim(self, path: str | Path, name: str) -> None:
        """Takes a file for an output.

        Args:
            path: The file; a device, which takes what several outputs write, is nobody's.
            name: The output, in messages: "--jsonl".

        Raises:
            SettingError: It is an input, or another output has it.
        """
        self.check(path, name)
        for identity in _identities(path):
            self._written[identity] = name

    def check(self, path: str | Path, name: str) -> None:
        """Sees that a file may be written, without taking it: see `claim`.

        Raises:
            SettingError: It is an input, or another output has it.
        """
        if owner := self.output_at(path, name):
            raise SettingError(
                f"{owner} and {name} are the same; give each its own file, or '-' to one of them"
            )
        self.check_input(path, name)

    def check_input(self, path: str | Path, name: str) -> None:
        """Sees that a file is none that is read; for very many that are certainly not another output's.

        Raises:
            SettingError: It is an input.
        """
        if source := self.input_at(path):
            raise SettingError(f"{name} {path}: would overwrite {source}, which is read; give another name")

    def is_taken(self, path: Path, name: str) -> bool:
        """Tells whether a file is an input or another output's."""
        return self.output_at(path, name) is not None or self.input_at(path) is not None

    def output_at(self, path: str | Path, name: str) -> str | None:
        """Returns the name of another output that a file belongs to."""
        owners = (self._written.get(identity) for identity in _identities(path))
        return next((owner for owner in owners if owner not in (None, name)), None)

    def input_at(self, path: str | Path) -> str | None:
        """Returns the input that a file is, as it was named."""
        there = _file_identity(path)
        if there is None:
            return None
        for _, source in self._inputs:  # once: nothing is left of them then
            if source is not None:
                self.reads(source)
        return self._read.get(there)

    def reads(self, path: str | Path) -> None:
        """Adds an input that was not known at the start."""
        identity = _file_identity(path)
        if identity is not None:
            self._read.setdefault(identity, str(path))

    def claim_stream(self, number: int, name: str) -> None:
        """Takes the file that a stream was sent to (``> file``); see `claim`.

        Args:
            number: The stream's file descriptor.
            name: What messages call it.

        Raises:
            SettingError: Another output has it, or it is an input.
        """
        status = os.fstat(number)
        if not _is_file(status):
            return
        identity = _of(status)
        owner = self._written.get(identity)
        if owner not in (None, name):
            raise SettingError(
                f"{owner} and {name} are the same; give each its own file, or '-' to one of them"
            )
        for _, source in self._inputs:  # once: nothing is left of them then
            if source is not None:
                self.reads(source)
        if source := self._read.get(identity):
            raise SettingError(f"{name}: is sent to {source}, which is read; give another name")
        self._written[identity] = name


def check_outputs(outputs: Iterable[Named], inputs: Iterable[Named]) -> None:
    """Sees that no output of a command is one of its inputs or another output; call it before any work.

    Args:
        outputs: The files that are written or replaced; "-" is standard output.
        inputs: The files that are read; may be a generator, see `Claims`.

    Raises:
        SettingError: One is; the message names both.
    """
    claims = Claims(inputs)
    for name, path in outputs:
        if path is not None and str(path) != "-":
            claims.claim(path, name)


def files_in(name: str, folder: str | Path | None) -> Iterator[tuple[str, Path]]:
    """Gives a folder's files, with all subfolders; a file stands for itself.

    Args:
        name: What they are called in messages.
        folder: The folder; None gives nothing.
    """
    if folder is None:
        return
    if not os.path.isdir(folder):  # noqa: PTH112 - never raises
        yield name, Path(folder)
    for base, _, names in os.walk(folder):
        for file in names:
            yield name, Path(base, file)


def _identities(path: str | Path) -> Iterator[_Identity]:
    """Gives what tells a file from all others: itself where it is there, and its place in its folder."""
    there = _file_identity(path)
    if there is not None:
        yield there
    place = Path(os.path.realpath(path))
    try:
        status = place.parent.stat()
        if place.exists() and there is None:  # a device, or a folder
            return
    except OSError:
        yield (str(place),)
        return
    yield *_of(status), place.name.casefold() if _FOLDS_CASE else place.name


def _file_identity(path: str | Path) -> _Identity | None:
    """Returns the identity of a file or pipe; None for what is none, or not there."""
    try:
        status = os.stat(path)  # noqa: PTH116 - of a text or a path
    except (OSError, ValueError):
        return None
    return _of(status) if _is_file(status) else None


def _is_file(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)


def _of(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino
