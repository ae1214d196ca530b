"""The images and videos among the files of a folder or pattern; what is neither is counted, by suffix."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_lpr.counting import counted
from edge_lpr.errors import SourceError
from edge_lpr.io.sniff import IMAGE_SUFFIXES, medium_of

__all__ = ["Sorted", "left_out_line", "natural", "sort_files"]

_SHOWN = 12  # suffixes that a line names


@dataclass
class Sorted:
    """Files by what they are, each kind in natural order.

    Attributes:
        images: The images.
        videos: The videos.
        left_out: How many files of other kinds there are, by suffix in lower case; "" is none.
    """

    images: list[Path] = field(default_factory=list)
    videos: list[Path] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def sort_files(files: Iterable[Path], on_problem: Callable[[str], None]) -> Sorted:
    """Tells images, videos and other files apart.

    Files that are named like images are taken at their word, as there may be a million: what one of them
    really is shows as it is read. All others are looked into.

    Args:
        files: The files.
        on_problem: Called with one line for each that cannot be looked into.
    """
    found = Sorted()
    for path in sorted(files, key=natural):
        suffix = path.suffix.lower()
        try:
            medium = "image" if suffix in IMAGE_SUFFIXES else medium_of(path)
        except SourceError as e:
            on_problem(str(e))
            continue
        if medium is None:
            found.left_out[suffix] += 1
        else:
            (found.images if medium == "image" else found.videos).append(path)
    return found


def left_out_line(left_out: Mapping[str, int]) -> str:
    """Says what was left out: "left out: 12 .txt, 3 .xml"; the most frequent first."""
    counts = Counter(left_out).most_common()
    shown = [f"{count} {suffix or 'without a suffix'}" for suffix, count in counts[:_SHOWN]]
    if rest := sum(count for _, count in counts[_SHOWN:]):
        shown.append(counted(rest, "others"))
    return f"left out: {', '.join(shown)}"


def natural(path: Path | str) -> list[tuple[int, int, str]]:
    """Returns what paths are sorted by so that "frame2" stands before "frame10"."""
    # Digits compare as numbers; each part is tagged, so that a number never meets a text.
    parts = re.split(r"([0-9]+)", str(path).casefold())
    return [(0, int(p), "") if p.isdecimal() and p.isascii() else (1, 0, p) for p in parts]
