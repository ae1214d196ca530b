"""What of a video's frame is looked at, and what that shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge_lpr.counting import counted
from edge_lpr.pipeline.windows import Window
from edge_lpr.plates import PlateRead
from edge_lpr.types import Quad

__all__ = ["Look", "Place", "Seen"]


@dataclass(frozen=True, eq=False)
class Look:
    """What of a frame is looked at.

    Attributes:
        windows: Parts of it, in source pixels; None for all of it.
        rescan: Whether the whole frame is searched again where it shows no plate.
        followed: Where plates should be, by the number of their track, float32 4×2: a box there is no read
            anew.
        held: Numbers of the tracks whose plates stand where they were, and look the same.
        plates: Where plates should be that were read before, float32 4×2 each: they are read as they stood.
        changed: The share of the frame that looks otherwise than when it was last looked at, 0 to 1.
        share: How much is looked at, in whole frames, from 0: with what is looked at of frames gone by.
        back: How many windows of frames gone by are looked at with it; see `LookBack`.
    """

    windows: tuple[Window, ...] | None = None
    rescan: bool = True
    followed: Mapping[int, Quad] = field(default_factory=dict)
    held: frozenset[int] = frozenset()
    plates: tuple[Quad, ...] = ()
    changed: float = 1.0
    share: float = 1.0
    back: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether it is at all of a frame, of which nothing is known."""
        return self.windows is None and not self.plates

    def __str__(self) -> str:
        what = "whole" if self.windows is None else counted(len(self.windows), "windows")
        return (
            f"{what}, {self.share:.1%} of it; {self.changed:.1%} changed; "
            f"{counted(len(self.followed), 'plates')} followed, {len(self.held)} held; "
            f"{counted(self.back, 'windows')} back"
        )


@dataclass(frozen=True, eq=False)
class Place:
    """Where a plate is that is being tracked.

    Attributes:
        number: Its track.
        corners: Where it was seen last, float32 4×2.
        expected: Where it should be by now.
        seen: When it was last seen, in seconds.
        read: When it was last read.
        shown: When it was last read, or stood as it was read.
        reads: How often it was read.
        near_reads: How often it was near then, as `TrackSettings.early_width` says.
        is_sure: Whether its text is as sure as it has to be to be told at once.
    """

    number: int
    corners: Quad
    expected: Quad
    seen: float
    read: float
    shown: float
    reads: int
    near_reads: int
    is_sure: bool


@dataclass(frozen=True, eq=False)
class Seen:
    """What a look showed.

    Attributes:
        look: The look.
        reads: The plates that were read.
        followed: Where plates are that were followed, by the number of their track, float32 4×2.
    """

    look: Look
    reads: Sequence[PlateRead] = ()
    followed: Mapping[int, Quad] = field(default_factory=dict)
