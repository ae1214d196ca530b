"""The status of a run, as a JSON object for whoever looks after it."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from edge_lpr.counting import counted
from edge_lpr.environment import memory, tool
from edge_lpr.health.activity import Activity
from edge_lpr.io.frames import Source
from edge_lpr.pipeline.wall_clock import iso, utc

__all__ = ["STATUS_FIELDS", "Run", "RunState"]

RunState = Literal["running", "stuck", "ended"]
STATUS_FIELDS: tuple[tuple[str, str, str], ...] = (
    ("version", "integer", "version of this format; grows when the meaning of a field changes"),
    ("tool", "text", "the kit's name and version"),
    ("pid", "integer", "the process"),
    ("state", "text", '"running"; "stuck": the models do not answer; "ended"'),
    ("exit_code", "integer or null", "how the run ended; null before"),
    ("started", "text", "when the run began, ISO 8601 UTC"),
    ("updated", "text", "when this was written: an old time is a run that is dead"),
    ("uptime", "seconds", "since the run began"),
    ("reader", "text", "the models, and what runs them"),
    ("busy", "seconds", "for how long the models have been at what they have in hand; 0: nothing"),
    ("frames", "integer", "frames and images read"),
    ("results", "integer", "lines of results"),
    ("outputs_failed", "true or false", "whether an output has failed"),
    ("memory", "bytes or null", "resident memory of this process, without those that decode cameras"),
    ("threads", "integer", "threads of Python in this process"),
    ("left_out", "object", "files of folders that are no pictures or videos: how many, by suffix"),
    ("sources", "list", "each with source, state, frames, dropped, skipped, losses, last_frame"),
)
"""Name, type and meaning of each field of the status, in order."""


@dataclass
class Run:
    """What is known of a run; whoever runs it keeps it up to date.

    Attributes:
        started: When it began, in seconds since the epoch.
        reader: What reads.
        activity: The reader's work.
        left_out: Files of folders that are no pictures or videos: how many, by suffix.
        sources: What is being read.
        frames: Frames and images read.
        results: Lines of results.
        outputs_failed: Whether an output has failed.
    """

    started: float
    reader: str
    activity: Activity
    left_out: Mapping[str, int] = field(default_factory=dict)
    sources: Sequence[Source] = field(default_factory=tuple)
    frames: int = 0
    results: int = 0
    outputs_failed: bool = False

    def status(self, state: RunState, now: float, uptime: float, exit_code: int | None) -> dict[str, Any]:
        """Returns the status: the keys of `STATUS_FIELDS` in their order.

        Args:
            state: How it is.
            now: Seconds since the epoch.
            uptime: Seconds since the run began.
            exit_code: How it has ended.
        """
        return {
            "version": 1,
            "tool": tool(),
            "pid": os.getpid(),
            "state": state,
            "exit_code": exit_code,
            "started": iso(utc(self.started)),
            "updated": iso(utc(now)),
            "uptime": round(uptime, 1),
            "reader": self.reader,
            "busy": round(self.activity.seconds, 1),
            "frames": self.frames,
            "results": self.results,
            "outputs_failed": self.outputs_failed,
            "memory": memory(),
            "threads": threading.active_count(),
            "left_out": dict(self.left_out),
            "sources": [_source(source) for source in self.sources],
        }

    def summary(self) -> str:
        """Returns the status as one line."""
        there = sum(source.state in ("open", "done") for source in self.sources)
        return (
            f"{there} of {counted(len(self.sources), 'sources')} there, "
            f"{counted(self.frames, 'frames')}, {counted(self.results, 'results')}"
        )


def _source(source: Source) -> dict[str, Any]:
    last = source.last_frame
    return {
        "source": source.label,
        "state": source.state,
        "frames": source.received,
        "dropped": source.dropped,
        "skipped": source.skipped,
        "losses": source.losses,
        "last_frame": None if last is None else iso(utc(last)),
    }
