"""Page-locked memory of the host for one batch: what the device copies from and to by itself."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.backends.tensorrt.profile import Shape
from edge_lpr.errors import BackendError

if TYPE_CHECKING:
    from edge_lpr.backends.tensorrt.cuda import Gpu

__all__ = ["BufferPool", "HostBuffers"]


class HostBuffers:
    """Memory for the input and the outputs of one run; made and freed with the GPU's context current.

    Args:
        lengths: Bytes of each tensor by name, at most.
    """

    def __init__(self, lengths: Mapping[str, int]) -> None:
        from pycuda import driver

        self._memory: dict[str, NDArray[np.uint8]] = {}
        try:
            for name, length in lengths.items():
                self._memory[name] = driver.pagelocked_empty(length, np.uint8)
        except driver.Error as e:
            self.free()
            wanted = sum(lengths.values()) >> 20
            raise BackendError(
                f"no {wanted} MiB of page-locked memory for a batch ({e}): end other programs, or build with "
                "a smaller --batch or fewer --det-size"
            ) from e

    def view(self, name: str, shape: Shape, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Returns the beginning of a tensor's memory as an array."""
        return self._memory[name][: math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)

    def free(self) -> None:
        """Gives the memory back; may be called twice."""
        while self._memory:
            self._memory.popitem()[1].base.free()  # type: ignore[union-attr]


class BufferPool:
    """The buffers that are lent: made on demand, used again by later loans, freed at the end.

    Args:
        gpu: The GPU.
        lengths: Gives the bytes of each tensor by name, when the first buffers are made.
    """

    def __init__(self, gpu: Gpu, lengths: Callable[[], Mapping[str, int]]) -> None:
        self._gpu = gpu
        self._lengths = lengths
        self._idle: list[HostBuffers] = []
        self._retired: list[HostBuffers] = []
        self._closed = False
        self._lock = threading.Lock()

    def take(self) -> HostBuffers:
        """Returns buffers that nobody else has."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        lengths = self._lengths()
        with self._gpu.active():
            return HostBuffers(lengths)

    def give_back(self, buffers: HostBuffers) -> None:
        """Takes them back; the device must have done with them, and nobody may look at them any more."""
        with self._lock:
            if not self._closed:
                self._idle.append(buffers)
                return
        with self._gpu.active():
            buffers.free()

    def retire(self, buffers: HostBuffers) -> None:
        """Takes back what the device may still write to, since a run failed: it is not lent again."""
        with self._lock:
            self._retired.append(buffers)

    def close(self) -> None:
        """Frees what nobody has, now, and the rest as it comes back; all slots are to be closed before."""
        with self._lock:
            self._closed = True
            unused = self._idle + self._retired
            self._idle, self._retired = [], []
        with self._gpu.active():
            for buffers in unused:
                buffers.free()
