"""How an archive is cut up and by how many readers it is read, declared once."""

from __future__ import annotations

from dataclasses import dataclass

from edge_lpr.settings import Settings, setting

__all__ = ["CutSettings", "ReaderSettings"]


@dataclass(frozen=True)
class CutSettings(Settings):
    """What a unit of work is: a block of pictures, or a segment of a video."""

    block: int = setting(
        500, "pictures in a unit of work, which is written as one file", low=1, high=1_000_000
    )
    segment: float = setting(
        60.0,
        "seconds of video in a unit of work, at least; it ends with the next key frame",
        low=0,
        high=1e6,
        metavar="S",
    )


@dataclass(frozen=True)
class ReaderSettings(Settings):
    """What each reader has of the machines, and how often it tries."""

    cpus_per_reader: int = setting(1, "CPU cores, and threads of the models, that each reader has", low=1)
    gpus_per_reader: float = setting(
        0.0, "the share of a GPU that each reader has: with 0.25, four share one; 0 reads on the CPU", low=0
    )
    retries: int = setting(
        2,
        "how often a source is tried again that storage does not give, or at which a reader died",
        low=0,
        high=100,
    )
