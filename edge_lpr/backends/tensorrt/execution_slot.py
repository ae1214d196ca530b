"""One run at a time on a stream of its own: buffers, activation memory, and what each shape needs.

All that a run touches is made before it or kept from the run before: no device or page-locked memory is asked
for per frame.
"""

from __future__ import annotations

import contextlib
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.backends.tensorrt.api import TensorRT
from edge_lpr.backends.tensorrt.cuda_graph import CudaGraph
from edge_lpr.backends.tensorrt.host_buffers import HostBuffers
from edge_lpr.backends.tensorrt.profile import Shape
from edge_lpr.backends.tensorrt.tensors import Tensors
from edge_lpr.errors import BackendError

if TYPE_CHECKING:
    import tensorrt as trt

# Shapes that a slot keeps ready; the one that was not used for longest makes room.
MAX_SHAPES = 32
# CU_STREAM_NON_BLOCKING: what others do on the default stream does not hold this one up.
NON_BLOCKING = 1


@dataclass
class _ShapeContext:
    """What one input shape needs: an execution context of its own, as TensorRT asks for each captured graph.

    Attributes:
        execution: TensorRT's context, set to the shape.
        source: The slot's input buffer on the host, in the shape.
        results: The output buffers on the host by name, in the shapes that follow from it.
        graph: What the network enqueues, once it was captured.
        capturable: Whether a capture may be tried.
        runs: How often it ran.
    """

    execution: trt.IExecutionContext
    source: NDArray[Any]
    results: dict[str, NDArray[Any]]
    graph: CudaGraph | None = None
    capturable: bool = True
    runs: int = 0


@dataclass
class _Memory:
    """Page-locked memory of the host and what the device sees of it."""

    host: NDArray[np.uint8]
    device: int
    owners: list[Any] = field(default_factory=list)

    def view(self, shape: Shape, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Returns the beginning of the memory as an array."""
        return self.host[: math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)

    def free(self) -> None:
        for owner in self.owners:
            owner.free()
        self.owners.clear()


class ExecutionSlot:
    """Runs one batch at a time; use it from one thread at a time, with the GPU's context current.

    Args:
        api: TensorRT on this machine.
        engine: The engine.
        tensors: Its inputs and outputs.
        graphs: Whether a shape that comes back is captured as a CUDA graph.
        mapped: Whether the device reads and writes the host's memory itself, in place of copies: what an
            integrated GPU does best, which shares that memory.

    Attributes:
        lengths: Bytes that each tensor needs at most, by name.
        graph_refusal: Why a shape was not captured as a graph.

    Raises:
        BackendError: The device has not the memory.
    """

    def __init__(
        self, api: TensorRT, engine: trt.ICudaEngine, tensors: Tensors, *, graphs: bool, mapped: bool
    ) -> None:
        from pycuda import driver

        self._driver = driver
        self._api = api
        self._engine = engine
        self._tensors = tensors
        self._graphs = graphs
        self._mapped = mapped
        self._contexts: OrderedDict[Shape, _ShapeContext] = OrderedDict()
        self._running: dict[str, NDArray[Any]] | None = None
        self._busy = False
        self._memory: dict[str, _Memory] = {}
        self._activations: Any = None
        self.graph_refusal = ""
        self._stream: Any = None
        self._activation_bytes = size = api.activation_bytes(engine)
        try:
            self._stream = driver.Stream(NON_BLOCKING)
            self._activations = driver.mem_alloc(max(size, 256))
            self.lengths = self._lengths()
            for name, length in self.lengths.items():
                self._memory[name] = self._allocate(length)
        except driver.Error as e:
            self.close()
            there = ""
            with contextlib.suppress(driver.Error):  # of a device that is gone nothing can be asked
                free, total = (n >> 20 for n in driver.mem_get_info())
                there = f", {free} of {total} MiB are free"
            raise BackendError(
                f"{api.gpu.name}: {e}; a run needs {size >> 20} MiB and buffers{there}: "
                "end other programs, or build with a smaller --batch or fewer --det-size"
            ) from e
        except BackendError:
            self.close()
            raise

    def start(self, array: NDArray[Any], buffers: HostBuffers | None = None) -> None:
        """Enqueues copy, network and copy back, and does not wait.

        Args:
            array: The input, N×H×W×3 of the dtype that the engine takes (uint8), of a shape that a profile
                holds. It is copied before this returns, where it is not in the buffers.
            buffers: What the array is in and the outputs are written to, which serves nothing else until the
                run is finished; None for the slot's own. Not where the device works on the host's memory.

        Raises:
            BackendError: No profile holds the shape, or the device or TensorRT refused.
        """
        mark = self._api.log.mark()
        try:
            # A run that failed half-way, or whose result nobody took: no context is closed or captured
            # under it.
            if self._busy:
                self._stream.synchronize()
            context = self._contexts.get(array.shape) or self._open_context(array.shape)
            self._contexts.move_to_end(array.shape)
            source, results = context.source, context.results
            if buffers is None:
                np.copyto(source, array)
            else:
                source = array
                results = {name: buffers.view(name, r.shape, r.dtype) for name, r in results.items()}
            self._busy = True
            # TensorRT sets itself up in the first run of a shape, which no graph may hold.
            if context.graph is None and context.runs and context.capturable and self._graphs:
                self._capture(context)
            self._copy_in(source)
            if context.graph is not None:
                context.graph.launch(self._stream.handle)
            elif not context.execution.execute_async_v3(self._stream.handle):
                raise self._api.failure(f"TensorRT could not run on {self._api.gpu.name}", mark)
            self._copy_out(results)
        except self._driver.Error as e:
            raise self._api.failure(f"{self._api.gpu.name} failed ({e})", mark) from e
        context.runs += 1
        self._running = results

    def finish(self) -> dict[str, NDArray[Any]]:
        """Waits for the run that `start` began; each run is finished once.

        Returns:
            The outputs by name, of the shapes and dtypes that the engine's tensors have, in the slot's own
            memory or in the buffers of `start`.

        Raises:
            BackendError: No run was started, or the device failed while running.
        """
        results, self._running = self._running, None
        if results is None:
            raise BackendError("no run was started")
        mark = self._api.log.mark()
        try:
            self._stream.synchronize()
        except self._driver.Error as e:
            raise self._api.failure(f"{self._api.gpu.name} failed while running ({e})", mark) from e
        self._busy = False
        return results

    def time_resident(self, shape: Shape, runs: int) -> float:
        """Runs the network alone, again and again, on what lies in the device's buffers.

        Args:
            shape: The input's shape, N×H×W×3; one that a profile holds.
            runs: How often.

        Returns:
            Milliseconds that one run takes, by the device's own clock: nothing is copied or waited for.

        Raises:
            BackendError: As for `start`.
        """
        mark = self._api.log.mark()
        handle = self._stream.handle
        try:
            if self._busy:
                self._stream.synchronize()
                self._busy = False
            context = self._contexts.get(shape) or self._open_context(shape)

            def enqueue() -> bool:
                return bool(context.execution.execute_async_v3(handle))

            if not enqueue():  # TensorRT sets itself up in the first run of a shape
                raise self._api.failure(f"TensorRT could not run on {self._api.gpu.name}", mark)
            self._stream.synchronize()
            graph: CudaGraph | None = None
            if self._graphs:
                with contextlib.suppress(BackendError):
                    graph = CudaGraph(handle, enqueue)
            began, ended = self._driver.Event(), self._driver.Event()
            began.record(self._stream)
            for _ in range(runs):
                if graph is not None:
                    graph.launch(handle)
                else:
                    enqueue()
            ended.record(self._stream)
            ended.synchronize()
            if graph is not None:
                graph.close()
            return float(ended.time_since(began)) / runs
        except self._driver.Error as e:
            raise self._api.failure(f"{self._api.gpu.name} failed ({e})", mark) from e

    def time_layers(self, shape: Shape, runs: int) -> dict[str, float]:
        """Runs the network under TensorRT's profiler, which makes it slower as a whole.

        Args:
            shape: As for `time_resident`.
            runs: How often.

        Returns:
            Milliseconds that each layer takes in one run, by its name, in the order of the layers.

        Raises:
            BackendError: As for `start`.
        """
        mark = self._api.log.mark()
        times: dict[str, float] = {}

        def note(name: str, milliseconds: float) -> None:
            times[name] = times.get(name, 0.0) + milliseconds

        try:
            if self._busy:
                self._stream.synchronize()
                self._busy = False
            # One of its own: a profiler stays with its context.
            if (old := self._contexts.pop(shape, None)) is not None:
                _close_context(old)
            own = self._open_context(shape)
            try:
                self._run_profiled(own.execution, self._api.profiler(note), runs, mark)
            finally:
                _close_context(self._contexts.pop(shape))
        except self._driver.Error as e:
            raise self._api.failure(f"{self._api.gpu.name} failed ({e})", mark) from e
        return {name: total / runs for name, total in times.items()}

    def _run_profiled(
        self, execution: trt.IExecutionContext, profiler: trt.IProfiler, runs: int, mark: int
    ) -> None:
        for number in range(runs + 1):
            if number == 1:  # not the first: TensorRT sets itself up
                execution.profiler = profiler
            if not execution.execute_async_v3(self._stream.handle):
                raise self._api.failure(f"TensorRT could not run on {self._api.gpu.name}", mark)
            self._stream.synchronize()

    def close(self) -> None:
        """Waits for the stream and frees everything; may be called twice."""
        if self._stream is None:
            return
        # Where the device failed, what it held goes with its context.
        with contextlib.suppress(self._driver.Error):
            self._stream.synchronize()
        for context in self._contexts.values():
            _close_context(context)
        self._contexts.clear()
        self._running = None
        for memory in self._memory.values():
            memory.free()
        self._memory.clear()
        if self._activations is not None:
            self._activations.free()
            self._activations = None
        self._stream = None

    def _lengths(self) -> dict[str, int]:
        """Returns the bytes that input and outputs need at most, over all profiles."""
        tensors = self._tensors
        lengths = dict.fromkeys((tensors.input, *tensors.outputs), 0)
        for index, profile in enumerate(tensors.profiles):
            context = self._execution_context(index, profile.max)
            lengths[tensors.input] = max(
                lengths[tensors.input], math.prod(profile.max) * tensors.dtype.itemsize
            )
            for name, dtype in tensors.outputs.items():
                shape = _fixed(name, context.get_tensor_shape(name))
                lengths[name] = max(lengths[name], math.prod(shape) * dtype.itemsize)
        return lengths

    def _allocate(self, length: int) -> _Memory:
        flags = self._driver.host_alloc_flags.DEVICEMAP if self._mapped else 0
        host = self._driver.pagelocked_empty(length, np.uint8, mem_flags=flags)
        if self._mapped:
            return _Memory(host, int(host.base.get_device_pointer()), [host.base])
        try:
            device = self._driver.mem_alloc(length)
        except self._driver.Error:  # the error may be kept for longer than the context is current
            host.base.free()
            raise
        return _Memory(host, int(device), [device, host.base])

    def _execution_context(self, profile: int, shape: Shape) -> trt.IExecutionContext:
        mark = self._api.log.mark()
        context = self._api.context(self._engine, int(self._activations), self._activation_bytes)
        chosen = context.set_optimization_profile_async(profile, self._stream.handle)
        self._stream.synchronize()
        if not chosen or not context.set_input_shape(self._tensors.input, shape):
            raise self._api.failure(f"TensorRT does not take an input of {'×'.join(map(str, shape))}", mark)
        return context

    def _open_context(self, shape: Shape) -> _ShapeContext:
        tensors = self._tensors
        index = tensors.profile(shape)
        if index is None:
            raise BackendError(f"no profile holds {'×'.join(map(str, shape))}")
        if len(self._contexts) >= MAX_SHAPES:
            _close_context(self._contexts.popitem(last=False)[1])
        execution = self._execution_context(index, shape)
        mark = self._api.log.mark()
        results = {}
        for name, dtype in tensors.outputs.items():
            results[name] = self._memory[name].view(_fixed(name, execution.get_tensor_shape(name)), dtype)
        for name, memory in self._memory.items():
            if not execution.set_tensor_address(name, memory.device):
                raise self._api.failure(f"TensorRT does not take the buffer of {name!r}", mark)
        context = _ShapeContext(execution, self._memory[tensors.input].view(shape, tensors.dtype), results)
        self._contexts[shape] = context
        return context

    def _copy_in(self, source: NDArray[Any]) -> None:
        if not self._mapped:
            self._driver.memcpy_htod_async(self._memory[self._tensors.input].device, source, self._stream)

    def _copy_out(self, results: dict[str, NDArray[Any]]) -> None:
        if not self._mapped:
            for name, result in results.items():
                self._driver.memcpy_dtoh_async(result, self._memory[name].device, self._stream)

    def _capture(self, context: _ShapeContext) -> None:
        # The copies stay out of it: a graph keeps the addresses that it was captured with.
        handle = self._stream.handle
        try:
            context.graph = CudaGraph(handle, lambda: bool(context.execution.execute_async_v3(handle)))
        except BackendError as e:
            # Graphs save launches; a network that cannot be captured runs as well without.
            context.capturable = False
            self.graph_refusal = str(e)


def _close_context(context: _ShapeContext) -> None:
    if context.graph is not None:
        context.graph.close()
        context.graph = None
    del context.execution


def _fixed(name: str, shape: trt.Dims) -> Shape:
    sizes = tuple(shape)
    if any(size < 0 for size in sizes):
        raise BackendError(f"the shape of the engine's {name!r} depends on its data: {sizes}")
    return sizes
