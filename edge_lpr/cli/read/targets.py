"""What is to be read: everything that the sources of the command line name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from edge_lpr.errors import SourceError
from edge_lpr.io.sources import LeftOut, Target, find_targets, told_apart

__all__ = ["find_all"]


def find_all(sources: Sequence[str], on_error: Callable[[str], None], on_left_out: LeftOut) -> list[Target]:
    """Finds what all sources are, without opening them.

    Args:
        sources: What the user named.
        on_error: Called with one line for each source, or file or folder in it, that cannot be read.
        on_left_out: See `find_targets`.

    Returns:
        What to open, in order; images named one after the other are one target.
    """
    targets: list[Target] = []
    for source in sources:
        try:
            found = find_targets(source, on_error, on_left_out)
        except SourceError as e:
            on_error(str(e))
            continue
        for target in found:
            targets = _joined(targets, target)
    return told_apart(targets)


def _joined(targets: list[Target], target: Target) -> list[Target]:
    """Joins images named one after the other, as a shell's *.jpg names them, to one source."""
    last = targets[-1] if targets else None
    alike = last is not None and last.kind == target.kind == "images" and last.root == target.root is None
    if last is None or not alike or last.address or target.address:
        return [*targets, target]
    paths = (*last.paths, *target.paths)
    return [*targets[:-1], replace(last, label=f"{len(paths)} images", paths=paths)]
