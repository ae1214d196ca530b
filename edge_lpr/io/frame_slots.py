"""Frames in memory that two processes share: the one that decodes fills slots, the other one empties them.

The memory has no name that anybody else could open, counts as the processes' own, and is gone with the last
of them, however they end.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge_lpr.types import Image

__all__ = ["SLOTS", "SlotReader", "SlotWriter"]

SLOTS = 4
"""One is read, one waits, one is written, and one is on the way back."""


class SlotReader:
    """The side that reads, and makes the memory.

    Attributes:
        name: What the other process opens the memory by.
        inherited: File descriptors that the other process has to inherit.
    """

    def __init__(self) -> None:
        self._aside: Path | None = None
        if hasattr(os, "memfd_create"):
            self._file = os.memfd_create("edge-lpr-frames")
            self.name = f"/dev/fd/{self._file}"
            self.inherited: tuple[int, ...] = (self._file,)
        else:
            self._file, name = tempfile.mkstemp(prefix="edge-lpr-frames-")
            self.name, self.inherited, self._aside = name, (), Path(name)
        self._map: mmap.mmap | None = None

    def view(self, slot: int, slot_bytes: int, height: int, width: int) -> Image:
        """Looks at a frame.

        Args:
            slot: Which slot holds it.
            slot_bytes: Size of each slot, in bytes, as the writer has it.
            height: Height of the frame, in pixels.
            width: Width of the frame, in pixels.

        Returns:
            uint8 H×W×3 BGR in the shared memory, good until the slot is given back; it outlives `close`.
        """
        if self._map is None or len(self._map) < SLOTS * slot_bytes:
            self._map = mmap.mmap(self._file, SLOTS * slot_bytes, access=mmap.ACCESS_READ)
        flat = np.frombuffer(self._map, np.uint8, height * width * 3, slot * slot_bytes)
        return flat.reshape(height, width, 3)

    def close(self) -> None:
        """Gives the memory back; may be called twice."""
        self._map = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._aside is not None:
            with contextlib.suppress(OSError):  # Windows, while the other process still has it
                self._aside.unlink(missing_ok=True)


class SlotWriter:
    """The side that writes.

    Args:
        name: `SlotReader.name`.
        most_bytes: What frames that wait may take together; two have room in any case.

    Attributes:
        slot_bytes: Size of each slot, in bytes.
    """

    def __init__(self, name: str, most_bytes: float = math.inf) -> None:
        self._file = os.open(name, os.O_RDWR | getattr(os, "O_BINARY", 0))
        self._map: mmap.mmap | None = None
        self._free = set(range(SLOTS))
        self._most_bytes = most_bytes
        self._changed = threading.Condition()
        self.slot_bytes = 0

    def write(self, image: Image, go_on: Callable[[], bool] | None) -> int | None:
        """Puts a frame into a free slot.

        Args:
            image: uint8 H×W×3 BGR.
            go_on: Asked again and again while no slot is free; None leaves the frame out then.

        Returns:
            The slot; None where there was none.
        """
        larger = image.nbytes > self.slot_bytes
        # Slots that the reader may still look at cannot move: for a larger image all have to be free.
        room = max(2, min(SLOTS, self._most_bytes // image.nbytes))
        need = SLOTS if larger and self._map is not None else SLOTS - room + 1
        with self._changed:
            while len(self._free) < need:
                if go_on is None and not larger:
                    return None
                if go_on is not None and not go_on():
                    return None
                self._changed.wait(0.5)
            slot = min(self._free)
            self._free.remove(slot)
        if larger:
            os.ftruncate(self._file, SLOTS * image.nbytes)
            self._map = mmap.mmap(self._file, SLOTS * image.nbytes)
            self.slot_bytes = image.nbytes
        assert self._map is not None
        flat = np.frombuffer(self._map, np.uint8, image.nbytes, slot * self.slot_bytes)
        flat.reshape(image.shape)[:] = image
        return slot

    def free(self, slot: int) -> None:
        """Takes back a slot that the reader is done with."""
        with self._changed:
            self._free.add(slot)
            self._changed.notify_all()
