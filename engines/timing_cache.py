"""The timing cache: how fast kernels were here, kept between builds and shared between processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edge_lpr.backends.tensorrt.engine_manifest import Machine
from edge_lpr.errors import BackendError
from edge_lpr.io.atomic_io import write_bytes
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.file_lock import locked

if TYPE_CHECKING:
    import tensorrt as trt

MAX_CACHE_BYTES = 1 << 28


class TimingCache:
    """One file for all builds of one TensorRT on one kind of GPU: times of another one mislead.

    A cache that is damaged or cannot be written costs time, never a build.

    Args:
        folder: Where engines lie.
        machine: What the builds are for.
    """

    def __init__(self, folder: Path, machine: Machine) -> None:
        self.path = folder / f"timing.{slug(machine.gpu)}.trt{machine.tensorrt}.cache"

    def load(self) -> bytes:
        """Returns what earlier builds learned; nothing where there is no cache."""
        with suppress(BackendError):
            return read_bounded(self.path, MAX_CACHE_BYTES, "a timing cache", BackendError)
        return b""

    def attach(self, config: trt.IBuilderConfig) -> None:
        """Gives a build what earlier ones learned."""
        # TensorRT checks that the cache is its own, and begins an empty one where it is not.
        for data in (self.load(), b""):
            cache = config.create_timing_cache(data)
            if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
                return

    def keep(self, config: trt.IBuilderConfig) -> None:
        """Adds what a build learned to the file, with what other processes learned meanwhile."""
        cache = config.get_timing_cache()
        if cache is None:
            return
        with suppress(OSError), self.locked():
            others = self.load()
            if others:
                other = config.create_timing_cache(others)
                if other is not None:
                    cache.combine(other, ignore_mismatch=False)
            write_bytes(self.path, bytes(cache.serialize()))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from reading and writing in between, where the system can."""
        # On Windows, which has none: of two builds that end at once, one teaches the next nothing.
        with locked(self.path.with_name(f"{self.path.name}.lock")):
            yield


def slug(text: str) -> str:
    """Returns a text as a part of a file's name: "NVIDIA H200" is "nvidia-h200"."""
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower())
    return "-".join(part for part in kept.split("-") if part)[:40] or "unnamed"
