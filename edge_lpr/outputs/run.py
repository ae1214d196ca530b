"""The outputs of one run, kept apart: one that fails is named and closed or tried again; the others go on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType

from edge_lpr.errors import OutputError, SettingError
from edge_lpr.io.claims import Claims
from edge_lpr.outputs.base import OUTPUTS, STDOUT, Output, RunInfo
from edge_lpr.outputs.records import results
from edge_lpr.pipeline.stream import FrameResult

__all__ = ["RunOutputs"]


@dataclass(eq=False)
class _Member:
    """One output of the run.

    Attributes:
        output: The output.
        shown: What messages call it.
        fails: Whether its last write failed.
        lost: How much it could not write since then; see `Output.unit`.
    """

    output: Output
    shown: str
    fails: bool = False
    lost: int = 0


class RunOutputs:
    """Everything that a run writes.

    In a run over files an output that fails is closed, and the file that it would have replaced stays. A live
    run has no end at which somebody would start it again: there an output that fails is tried again with all
    that follows, and what was lost meanwhile is counted.

    Args:
        requested: What is wanted, by name in `OUTPUTS`, and the value of its option: a file, a folder, "-".
        run: What the outputs learn of the run.
        report: Called with one line for each output that fails, and where one does no more.

    Attributes:
        count: Results so far.
        failed: Whether an output has failed.

    Raises:
        SettingError: No such output, two of them to one file, one to a file that is read, or a value that
            does not fit.
        OutputError: An output cannot be written to; found before anything is read.
    """

    def __init__(self, requested: Mapping[str, str], run: RunInfo, report: Callable[[str], None]) -> None:
        self.count = 0
        self.failed = False
        self._report = report
        self._live = run.live
        self._members: list[_Member] = []
        self._asked = len(requested)
        run = replace(run, claims=run.own_claims())
        _check_apart(requested, run.own_claims())
        try:
            for kind in OUTPUTS:
                if kind.name in requested:
                    value = requested[kind.name]
                    shown = f"{kind.flag} {value}" if kind.flag else kind.name
                    self._members.append(_Member(kind.open(value, run), shown))
        except BaseException:
            for member in self._members:
                member.output.discard()
            raise

    def __enter__(self) -> RunOutputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def any_left(self) -> bool:
        """Whether anything still takes results; also where nothing was asked to, and a status is wanted."""
        return bool(self._members) or self._asked == 0

    def write(self, frame_result: FrameResult) -> None:
        """Writes what one frame gave everywhere.

        Raises:
            BrokenPipeError: Who read standard output has gone; raised once, after all else is written.
        """
        found = results(frame_result)
        self.count += len(found)
        broken: BrokenPipeError | None = None
        for member in list(self._members):
            try:
                member.output.write(frame_result, found)
                if frame_result.is_last:
                    member.output.finish(frame_result.source)
            except BrokenPipeError as e:
                broken = e
                self._drop(member)
            except OutputError as e:
                self._failed(member, e, frame_result, len(found))
            else:
                self._works(member, bool(found) or member.output.unit == "frames")
        if broken is not None:
            raise broken

    def close(self) -> None:
        """Completes all outputs; may be called twice."""
        while self._members:
            self._drop(self._members[-1])

    def _failed(self, member: _Member, error: OutputError, frame_result: FrameResult, results: int) -> None:
        self.failed = True
        if not self._live:
            self._report(str(error))
            self._drop(member)
            return
        if not member.fails:
            self._report(f"{error}; tried again with what follows")
            member.fails = True
        member.lost += results if member.output.unit == "results" else int(frame_result.frame is not None)

    def _works(self, member: _Member, wrote: bool) -> None:
        if member.fails and wrote:
            self._report(f"{member.shown}: written again; {member.lost} {member.output.unit} were lost")
            member.fails, member.lost = False, 0

    def _drop(self, member: _Member) -> None:
        self._members.remove(member)
        try:
            member.output.close()
        except OutputError as e:
            self.failed = True
            self._report(str(e))
        if member.fails:
            self._report(f"{member.shown}: {member.lost} {member.output.unit} were lost")


def _check_apart(requested: Mapping[str, str], claims: Claims) -> None:
    """Refuses two outputs to one file, one to a file that is read, and on standard output what is no text."""
    kinds = sorted((OUTPUTS[name] for name in requested), key=lambda kind: (not kind.stdout, kind.rank))
    piped = [kind.flag or kind.name for kind in kinds if requested[kind.name] == STDOUT and kind.stdout]
    for kind in kinds:
        value, shown = requested[kind.name], kind.flag or kind.name
        if value == STDOUT and not kind.stdout:
            raise SettingError(f"{shown} -: does not go to standard output; a folder of that name is ./-")
    if len(piped) > 1:
        raise SettingError(
            f"{piped[0]} and {piped[1]} are the same; give each its own file, or '-' to one of them"
        )
    if piped:
        with suppress(AttributeError, OSError, ValueError):  # replaced by something that is no file
            claims.claim_stream(sys.stdout.fileno(), piped[0])
    for kind in kinds:
        # What several sources give has names that each output finds itself.
        if kind.stdout and requested[kind.name] != STDOUT:
            claims.claim(requested[kind.name], kind.flag)
