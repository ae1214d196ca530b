"""Whether what is read of a camera keeps up with it, and how much less is looked at where it does not."""

from __future__ import annotations

__all__ = ["Load"]

_MORE, _LESS, _MOST = 1.25, 0.98, 4.0


class Load:
    """Stretches the times between looks while frames are passed over, and shortens them again.

    Attributes:
        stretch: By what they are longer, 1 to 4.
    """

    def __init__(self) -> None:
        self.stretch = 1.0
        self._dropped = 0

    def note(self, dropped: int) -> None:
        """Takes in, with a frame, how many frames of its source were passed over up to it."""
        behind = dropped > self._dropped
        self._dropped = dropped
        self.stretch = min(max(self.stretch * (_MORE if behind else _LESS), 1.0), _MOST)
