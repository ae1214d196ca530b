"""Which labelled images can be read: those that cannot are named and left out, once, before any work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from edge_lpr.datasets.labels import Sample
from edge_lpr.errors import InputError, SourceError
from edge_lpr.io.sniff import read_head, sniff

__all__ = ["decodable", "looked_at"]

_AT_ONCE = 8  # files on a network wait for each other


def decodable(samples: Sequence[Sample], on_unread: Callable[[str], None]) -> list[Sample]:
    """Returns the samples whose images can be decoded; it decodes all of them.

    Args:
        samples: The samples.
        on_unread: Called with one line for each that is left out.
    """
    return _kept(samples, map(_decode, samples), on_unread)


def looked_at(samples: Sequence[Sample], on_unread: Callable[[str], None]) -> list[Sample]:
    """Returns the samples whose images are there, and are pictures by their first bytes.

    Args:
        samples: The samples; a million take a minute.
        on_unread: Called with one line for each that is left out.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return _kept(samples, pool.map(_look, samples), on_unread)


def _kept(
    samples: Sequence[Sample], problems: Iterable[str], on_unread: Callable[[str], None]
) -> list[Sample]:
    kept = []
    for sample, problem in zip(samples, problems, strict=True):
        if problem:
            on_unread(problem)
        else:
            kept.append(sample)
    return kept


def _decode(sample: Sample) -> str:
    try:
        sample.read()
    except InputError as e:
        return str(e)
    return ""


def _look(sample: Sample) -> str:
    try:
        head = read_head(sample.path)
    except SourceError as e:
        return str(e)
    if not head:
        return f"{sample.path}: the file is empty (0 bytes)"
    content = sniff(head)
    return "" if content is not None and content.medium == "image" else f"{sample.path}: not an image"
