"""CUDA graphs through the driver API: pycuda has no calls for them.

CUDA Driver API, "Graph Management" and "Stream Management"; the calls are those of CUDA 11.4 and later.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

from edge_lpr.errors import BackendError

# CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may allocate memory while this one captures.
THREAD_LOCAL = 1


class CudaGraph:
    """What one stream did between two points, to be launched again as one piece of work.

    The graph holds the addresses that were used while it was captured: the buffers and the execution context
    must stay as they are for as long as it is launched.

    Args:
        stream: Handle of the stream.
        work: Enqueues the work on that stream; it must not wait for the stream. Returns whether it could.

    Raises:
        BackendError: Something in the work cannot be captured.
    """

    def __init__(self, stream: int, work: Callable[[], bool]) -> None:
        self._exec = ctypes.c_void_p()
        graph = ctypes.c_void_p()
        _call("cuStreamBeginCapture_v2", ctypes.c_void_p(stream), ctypes.c_int(THREAD_LOCAL))
        try:
            done = work()
        finally:
            # A stream left capturing refuses all other work, so the capture ends whatever happened.
            ended = _try("cuStreamEndCapture", ctypes.c_void_p(stream), ctypes.byref(graph))
        try:
            if not done or ended:
                raise BackendError(f"cannot be captured as a CUDA graph ({ended or 'refused by TensorRT'})")
            _call("cuGraphInstantiateWithFlags", ctypes.byref(self._exec), graph, ctypes.c_ulonglong(0))
        finally:
            if graph:
                _try("cuGraphDestroy", graph)

    def launch(self, stream: int) -> None:
        """Enqueues the captured work on a stream.

        Raises:
            BackendError: The driver refused.
        """
        _call("cuGraphLaunch", self._exec, ctypes.c_void_p(stream))

    def close(self) -> None:
        """Frees the graph; may be called twice."""
        if self._exec:
            _try("cuGraphExecDestroy", self._exec)
            self._exec = ctypes.c_void_p()


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1")


def _try(name: str, *arguments: object) -> str:
    """Calls the driver; returns an empty text or its error."""
    try:
        function = getattr(_library(), name)
    except (OSError, AttributeError):
        return f"{name}: this driver has no such call"
    code = int(function(*arguments))
    if code == 0:
        return ""
    text = ctypes.c_char_p()
    _library().cuGetErrorString(ctypes.c_int(code), ctypes.byref(text))
    return f"{name} failed: {(text.value or b'').decode(errors='replace') or f'CUDA error {code}'}"


def _call(name: str, *arguments: object) -> None:
    error = _try(name, *arguments)
    if error:
        raise BackendError(error)
