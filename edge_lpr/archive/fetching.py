"""Bytes of pictures, fetched ahead of the reading, and again where storage does not give them at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from edge_lpr.archive.storage import read_bytes
from edge_lpr.archive.units import SourceFile
from edge_lpr.backoff import backoff
from edge_lpr.errors import SourceError, StorageError
from edge_lpr.pipeline.ordered_pool import in_order

__all__ = ["fetched", "tried"]

T = TypeVar("T")
_AHEAD = 4  # files fetched at once: what hides the way to an object store
_PAUSE = 0.5  # seconds before the second try


def tried(work: Callable[[], T], retries: int, pause: float = _PAUSE) -> T:
    """Does something that needs storage, again where that fails.

    Args:
        work: What is done.
        retries: How often it is done again.
        pause: Seconds before the first repetition; see `backoff`.

    Raises:
        StorageError: It failed each time.
        SourceError: What was given cannot be used, now or later.
    """
    for failures in range(1, retries + 1):
        try:
            return work()
        except StorageError:
            time.sleep(backoff(failures, pause))
    return work()


def fetched(files: Sequence[SourceFile], retries: int) -> Iterator[tuple[SourceFile, bytes | SourceError]]:
    """Gives the bytes of pictures in their order; of one that cannot be read, the error.

    Args:
        files: The pictures.
        retries: See `tried`.
    """

    def fetch(file: SourceFile) -> bytes | SourceError:
        try:
            return tried(lambda: read_bytes(file.address), retries)
        except SourceError as e:
            return e

    yield from in_order(fetch, files, _AHEAD)
