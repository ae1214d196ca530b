"""What an output is, what it learns of the run, and the registry of all of them."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import TracebackType
from typing import TypeVar

from edge_lpr.io.claims import Claims, Named
from edge_lpr.io.frames import Source
from edge_lpr.io.recording import RecordingSettings
from edge_lpr.io.sources import Target
from edge_lpr.outputs.records import Result
from edge_lpr.pipeline.stream import FrameResult
from edge_lpr.registry import Registry

__all__ = ["ALONE", "OUTPUTS", "STDOUT", "Output", "OutputKind", "RunInfo"]

STDOUT = "-"
"""The value of an option that means standard output."""

T = TypeVar("T", bound="Output")
_logger = logging.getLogger("edge_lpr")


class Output(ABC):
    """Takes results; a context manager that completes what it wrote.

    One of one's own needs to define `write` alone.

    Attributes:
        unit: What is lost where a `write` fails, for messages: "results", or "frames".
    """

    unit = "results"

    @abstractmethod
    def write(self, frame_result: FrameResult, results: Sequence[Result]) -> None:
        """Takes what one frame gave.

        Args:
            frame_result: The frame and all that was read in it.
            results: What a line, a row or a message each stands for: the tracks that ended, or the reads
                where nothing is tracked.

        Raises:
            OutputError: It cannot be written. In a run over files the output is closed then, and the others
                go on; in a live run it is given what comes next too, as a full disk may have room again.
            BrokenPipeError: Who reads standard output has gone.
        """

    def finish(self, source: Source) -> None:  # noqa: B027 - most have nothing of one source alone
        """Completes what belongs to one source, which gives no more.

        Raises:
            OutputError: It cannot be completed.
        """

    def close(self) -> None:  # noqa: B027 - nor anything to complete
        """Completes the output; may be called twice.

        Raises:
            OutputError: It cannot be completed.
        """

    def discard(self) -> None:
        """Gives the output up before anything was written: what was there before stays as it was."""
        self.close()

    def __enter__(self: T) -> T:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class RunInfo:
    """What an output learns of the run.

    Attributes:
        targets: All sources, as far as they are known.
        live: Whether a camera or stream is among them: results are then added to files, and replace none.
        clear: Called before a line goes to the terminal, to take a progress line away.
        on_warning: Called with one line for each thing that went wrong and was put right; logs it where not
            given.
        on_note: Called with one line for what is good to know; logs it where not given.
        reads: Files beside the sources that the run reads, by what messages call them.
        recording: How long and large the videos of cameras become.
        claims: The files of the run, so that no output writes over another or over what is read; None for an
            output that is used by itself.
    """

    targets: Sequence[Target] = ()
    live: bool = False
    clear: Callable[[], None] = lambda: None
    on_warning: Callable[[str], None] = _logger.warning
    on_note: Callable[[str], None] = _logger.info
    reads: Iterable[Named] = ()
    recording: RecordingSettings = field(default_factory=RecordingSettings)
    claims: Claims | None = None

    def own_claims(self) -> Claims:
        """Returns the claims of the run; for an output that is used by itself, its own."""
        if self.claims is not None:
            return self.claims
        sources = (("SOURCE", path) for target in self.targets for path in target.read)
        return Claims(chain(sources, self.reads))


ALONE = RunInfo()
"""The run of an output that is used by itself."""


@dataclass(frozen=True)
class OutputKind:
    """One kind of output; a module of this package registers one.

    Attributes:
        name: What it is asked for by.
        rank: Its place: results go to the lowest first, which may add to them (see `Result.crop`).
        open: Opens one, from the value of its option and the run. Raises `OutputError` where it cannot be
            written to, `SettingError` where the value does not fit the sources.
        flag: The command's option, "--jsonl"; "" where the command has none.
        metavar: What --help calls the option's value; "ADDRESS" where it is one, which others refuse.
        help: What it writes, for --help.
        stdout: Whether it writes one stream of text, which "-" sends to standard output.
    """

    name: str
    rank: int
    open: Callable[[str, RunInfo], Output]
    flag: str = ""
    metavar: str = "FILE"
    help: str = ""
    stdout: bool = False


OUTPUTS: Registry[OutputKind] = Registry("output", "edge_lpr.outputs")
