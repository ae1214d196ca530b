"""The writing of results: each whole or not at all, and complete however the run ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from edge_lpr.console.interrupts import Interrupts
from edge_lpr.health.status import Run
from edge_lpr.outputs import RunOutputs
from edge_lpr.pipeline.stream import FrameResult, Stream

__all__ = ["ResultWriter"]

_RESCUE_SECONDS = 20.0  # what outputs get to be completed in where the models hang


class ResultWriter:
    """Writes what streams give.

    Args:
        outputs: Where to.
        interrupts: What a result waits for, and what waits for it.
        health: Is told how many there are.
    """

    def __init__(self, outputs: RunOutputs, interrupts: Interrupts, health: Run) -> None:
        self._outputs = outputs
        self._interrupts = interrupts
        self._health = health
        self._writing = threading.Lock()
        self._streams: Sequence[Stream] = ()

    def begin(self, streams: Sequence[Stream]) -> None:
        """Takes streams whose results are written from now on."""
        self._streams = streams
        self._health.sources = [stream.source for stream in streams]

    def write(self, frame_result: FrameResult) -> None:
        """Writes what one frame gave."""
        with self._interrupts.held(), self._writing:
            self._outputs.write(frame_result)
            self._health.results, self._health.outputs_failed = self._outputs.count, self._outputs.failed

    def flush(self) -> None:
        """Writes the vehicles that are still in view; for a block that no signal interrupts."""
        for stream in self._streams:
            self.write(stream.flush())

    def give_up(self) -> NoReturn:
        """Completes the outputs and ends the process, whose main thread hangs where nothing reaches it."""
        rescue = threading.Thread(target=self._complete, daemon=True)
        rescue.start()
        rescue.join(_RESCUE_SECONDS)
        os._exit(1)

    def _complete(self) -> None:
        """Completes the outputs from another thread than the one that reads, which then writes no more."""
        self._writing.acquire()
        with suppress(BrokenPipeError):
            for stream in self._streams:
                self._outputs.write(stream.flush())
            self._outputs.close()
