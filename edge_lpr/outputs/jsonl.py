"""One JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from edge_lpr.io.atomic_io import json_text
from edge_lpr.io.text_file import LineFormat
from edge_lpr.outputs._text import TextOutput
from edge_lpr.outputs.base import ALONE, OUTPUTS, OutputKind, RunInfo
from edge_lpr.outputs.records import Result, to_record
from edge_lpr.pipeline.stream import FrameResult

__all__ = ["JsonlOutput"]


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


# A torn first line is one too: what follows its brace is lost.
_LINES = LineFormat("a file of JSON lines", is_first=lambda line: line.startswith("{"), is_whole=_is_object)


class JsonlOutput(TextOutput):
    """One JSON object per line with the keys of `FIELDS`, UTF-8, written through at once.

    Args:
        file: The file, "-" for standard output, or an open text stream.
        run: The run; a live one is appended.

    Raises:
        OutputError: It cannot be written to.
    """

    def __init__(self, file: str | Path | TextIO, run: RunInfo = ALONE) -> None:
        super().__init__(file, run, _LINES)

    def write(self, frame_result: FrameResult, results: Sequence[Result]) -> None:
        """Writes a line for each result, all of them or none; see `Output.write`."""
        if frame_result.frame is not None or results:
            self._out.write("".join(map(_line, results)))


def _line(result: Result) -> str:
    return json_text(to_record(result), indent=None)


OUTPUTS.register(
    OutputKind(
        name="jsonl",
        rank=20,
        open=JsonlOutput,
        flag="--jsonl",
        help="a JSON object per line; '-' is standard output, in place of the lines",
        stdout=True,
    )
)
