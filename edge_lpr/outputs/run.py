"""The outputs of one run, kept apart: one that fails is closed and named, the others go on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import TracebackType

from edge_lpr.errors import OutputError, SettingError
from edge_lpr.outputs.base import OUTPUTS, STDOUT, Output, RunInfo
from edge_lpr.outputs.records import results
from edge_lpr.pipeline.stream import FrameResult

__all__ = ["RunOutputs"]


class RunOutputs:
    """Everything that a run writes.

    Args:
        requested: What is wanted, by name in `OUTPUTS`, and the value of its option: a file, a folder, "-".
        run: What the outputs learn of the run.
        report: Called with one line for each output that fails.

    Attributes:
        count: Results so far.
        failed: Whether an output has failed.

    Raises:
        SettingError: No such output, two of them to one file, or a value that does not fit.
        OutputError: An output cannot be written to; found before anything is read.
    """

    def __init__(self, requested: Mapping[str, str], run: RunInfo, report: Callable[[str], None]) -> None:
        self.count = 0
        self.failed = False
        self._report = report
        self._outputs: list[Output] = []
        _check_apart(requested)
        try:
            for kind in OUTPUTS:
                if kind.name in requested:
                    self._outputs.append(kind.open(requested[kind.name], run))
        except BaseException:
            for output in self._outputs:
                output.discard()
            raise

    def __enter__(self) -> RunOutputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def any_left(self) -> bool:
        """Whether anything still takes results."""
        return bool(self._outputs)

    def write(self, frame_result: FrameResult) -> None:
        """Writes what one frame gave everywhere.

        Raises:
            BrokenPipeError: Who read standard output has gone; raised once, after all else is written.
        """
        found = results(frame_result)
        self.count += len(found)
        broken: BrokenPipeError | None = None
        for output in list(self._outputs):
            try:
                output.write(frame_result, found)
                if frame_result.is_last:
                    output.finish(frame_result.source)
            except BrokenPipeError as e:
                broken = e
                self._drop(output)
            except OutputError as e:
                self._fail(e)
                self._drop(output)
        if broken is not None:
            raise broken

    def close(self) -> None:
        """Completes all outputs; may be called twice."""
        while self._outputs:
            self._drop(self._outputs[-1])

    def _drop(self, output: Output) -> None:
        self._outputs.remove(output)
        try:
            output.close()
        except OutputError as e:
            self._fail(e)

    def _fail(self, error: OutputError) -> None:
        self.failed = True
        self._report(str(error))


def _check_apart(requested: Mapping[str, str]) -> None:
    """Refuses two outputs in one place where one is a file, and on standard output what is no text."""
    places: dict[str, str] = {}
    kinds = sorted((OUTPUTS[name] for name in requested), key=lambda kind: (not kind.stdout, kind.rank))
    for kind in kinds:
        value, shown = requested[kind.name], kind.flag or kind.name
        if value == STDOUT and not kind.stdout:
            raise SettingError(f"{shown} -: does not go to standard output; a folder of that name is ./-")
        place = value if value == STDOUT else os.path.realpath(value)
        if place in places:
            raise SettingError(
                f"{places[place]} and {shown} are the same; give each its own file, or '-' to one of them"
            )
        if kind.stdout:
            places[place] = shown
