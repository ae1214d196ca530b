"""One run at a time on a stream of its own: buffers, activation memory, and what each shape needs.

All that a run touches is made before it or kept from the run before: no device or page-locked memory is asked
for per frame.
"""

from __future__ import annotations

import contextlib
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.backends.tensorrt.api import TensorRT
from edge_lpr.backends.tensorrt.cuda_graph import CudaGraph
from edge_lpr.backends.tensorrt.engine_manifest import Profile, Shape
from edge_lpr.errors import BackendError

if TYPE_CHECKING:
    import tensorrt as trt

# Shapes kept ready per slot; the one that was not used for longest makes room.
MAX_LANES = 32
# CU_STREAM_NON_BLOCKING: what others do on the default stream does not hold this one up.
NON_BLOCKING = 1
# NumPy's types by TensorRT's names. `trt.nptype` is not used: that of 8.6 fails on numpy 1.24 and later.
DTYPES: dict[str, type[np.generic]] = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}


@dataclass(frozen=True)
class Tensors:
    """Inputs and outputs of an engine.

    Attributes:
        input: Name of the one input.
        dtype: The input's type.
        outputs: The outputs' names and types.
        profiles: The shapes that each optimization profile takes, by its index.
    """

    input: str
    dtype: np.dtype[Any]
    outputs: Mapping[str, np.dtype[Any]]
    profiles: tuple[Profile, ...]

    @classmethod
    def of(cls, engine: trt.ICudaEngine) -> Tensors:
        """Reads them off an engine.

        Raises:
            BackendError: It has more than one input, or a type that numpy has not.
        """
        import tensorrt as trt

        inputs: dict[str, np.dtype[Any]] = {}
        outputs: dict[str, np.dtype[Any]] = {}
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            kind = engine.get_tensor_dtype(name).name
            if kind not in DTYPES:
                raise BackendError(f"the engine's {name!r} is {kind}, which this kit cannot pass")
            side = inputs if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT else outputs
            side[name] = np.dtype(DTYPES[kind])
        if len(inputs) != 1:
            raise BackendError(f"the engine has {len(inputs)} inputs ({', '.join(inputs)}), expected one")
        name, dtype = next(iter(inputs.items()))
        shapes = [engine.get_tensor_profile_shape(name, i) for i in range(engine.num_optimization_profiles)]
        return cls(name, dtype, outputs, tuple(Profile(*(tuple(s) for s in three)) for three in shapes))

    def profile(self, shape: Shape) -> int | None:
        """Returns the index of the tightest profile that holds a shape, None where none does."""
        holding = [i for i, profile in enumerate(self.profiles) if profile.holds(shape)]
        return min(holding, key=lambda i: math.prod(self.profiles[i].max), default=None)


@dataclass
class _Lane:
    """What one input shape needs: a context of its own, as TensorRT asks for each captured graph."""

    context: trt.IExecutionContext
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
        trt: TensorRT on this machine.
        engine: The engine.
        tensors: Its inputs and outputs.
        graphs: Whether a shape that comes back is captured as a CUDA graph.
        mapped: Whether the device reads and writes the host's memory itself, in place of copies: what an
            integrated GPU does best, which shares that memory.

    Raises:
        BackendError: The device has not the memory.
    """

    def __init__(
        self, trt: TensorRT, engine: trt.ICudaEngine, tensors: Tensors, *, graphs: bool, mapped: bool
    ) -> None:
        from pycuda import driver

        self._driver = driver
        self._trt = trt
        self._engine = engine
        self._tensors = tensors
        self._graphs = graphs
        self._mapped = mapped
        self._lanes: OrderedDict[Shape, _Lane] = OrderedDict()
        self._running: _Lane | None = None
        self._busy = False
        self._memory: dict[str, _Memory] = {}
        self._activations: Any = None
        self.graph_refusal = ""
        self._stream: Any = None
        self._activation_bytes = size = trt.activation_bytes(engine)
        try:
            self._stream = driver.Stream(NON_BLOCKING)
            self._activations = driver.mem_alloc(max(size, 256))
            for name, length in self._lengths().items():
                self._memory[name] = self._allocate(length)
        except driver.Error as e:
            self.close()
            there = ""
            with contextlib.suppress(driver.Error):  # of a device that is gone nothing can be asked
                free, total = (n >> 20 for n in driver.mem_get_info())
                there = f", {free} of {total} MiB are free"
            raise BackendError(
                f"{trt.gpu.name}: {e}; a run needs {size >> 20} MiB and buffers{there}: "
                "end other programs, or build with a smaller --batch or fewer --det-size"
            ) from e
        except BackendError:
            self.close()
            raise

    def start(self, array: NDArray[Any]) -> None:
        """Enqueues copy, network and copy back, and does not wait.

        Args:
            array: The input; its shape is one that a profile holds.

        Raises:
            BackendError: The device or TensorRT refused.
        """
        mark = self._trt.log.mark()
        try:
            # A run that failed half-way, or whose result nobody took: no lane is closed or captured under it.
            if self._busy:
                self._stream.synchronize()
            lane = self._lanes.get(array.shape) or self._open_lane(array.shape)
            self._lanes.move_to_end(array.shape)
            np.copyto(lane.source, array)
            self._busy = True
            # TensorRT sets itself up in the first run of a shape, which no graph may hold.
            if lane.graph is None and lane.runs and lane.capturable and self._graphs:
                self._capture(lane)
            if lane.graph is not None:
                lane.graph.launch(self._stream.handle)
            elif not self._enqueue(lane):
                raise self._trt.failure(f"TensorRT could not run on {self._trt.gpu.name}", mark)
        except self._driver.Error as e:
            raise self._trt.failure(f"{self._trt.gpu.name} failed ({e})", mark) from e
        lane.runs += 1
        self._running = lane

    def finish(self) -> dict[str, NDArray[Any]]:
        """Waits for the run and returns copies of its outputs.

        Raises:
            BackendError: The device failed while running.
        """
        lane, self._running = self._running, None
        if lane is None:
            raise BackendError("no run was started")
        mark = self._trt.log.mark()
        try:
            self._stream.synchronize()
        except self._driver.Error as e:
            raise self._trt.failure(f"{self._trt.gpu.name} failed while running ({e})", mark) from e
        self._busy = False
        return {name: result.copy() for name, result in lane.results.items()}

    def close(self) -> None:
        """Waits for the stream and frees everything; may be called twice."""
        if self._stream is None:
            return
        # Where the device failed, what it held goes with its context.
        with contextlib.suppress(self._driver.Error):
            self._stream.synchronize()
        for lane in self._lanes.values():
            _close_lane(lane)
        self._lanes.clear()
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
            context = self._context(index, profile.max)
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
        device = self._driver.mem_alloc(length)
        return _Memory(host, int(device), [device, host.base])

    def _context(self, profile: int, shape: Shape) -> trt.IExecutionContext:
        mark = self._trt.log.mark()
        context = self._trt.context(self._engine, int(self._activations), self._activation_bytes)
        chosen = context.set_optimization_profile_async(profile, self._stream.handle)
        self._stream.synchronize()
        if not chosen or not context.set_input_shape(self._tensors.input, shape):
            raise self._trt.failure(f"TensorRT does not take an input of {'×'.join(map(str, shape))}", mark)
        return context

    def _open_lane(self, shape: Shape) -> _Lane:
        tensors = self._tensors
        index = tensors.profile(shape)
        if index is None:
            raise BackendError(f"no profile holds {'×'.join(map(str, shape))}")
        if len(self._lanes) >= MAX_LANES:
            _close_lane(self._lanes.popitem(last=False)[1])
        context = self._context(index, shape)
        mark = self._trt.log.mark()
        results = {}
        for name, dtype in tensors.outputs.items():
            results[name] = self._memory[name].view(_fixed(name, context.get_tensor_shape(name)), dtype)
        for name, memory in self._memory.items():
            if not context.set_tensor_address(name, memory.device):
                raise self._trt.failure(f"TensorRT does not take the buffer of {name!r}", mark)
        lane = _Lane(context, self._memory[tensors.input].view(shape, tensors.dtype), results)
        self._lanes[shape] = lane
        return lane

    def _enqueue(self, lane: _Lane) -> bool:
        if not self._mapped:
            device = self._memory[self._tensors.input].device
            self._driver.memcpy_htod_async(device, lane.source, self._stream)
        if not lane.context.execute_async_v3(self._stream.handle):
            return False
        if not self._mapped:
            for name, result in lane.results.items():
                self._driver.memcpy_dtoh_async(result, self._memory[name].device, self._stream)
        return True

    def _capture(self, lane: _Lane) -> None:
        try:
            lane.graph = CudaGraph(self._stream.handle, lambda: self._enqueue(lane))
        except BackendError as e:
            # Graphs save launches; a network that cannot be captured runs as well without.
            lane.capturable = False
            self.graph_refusal = str(e)


def _close_lane(lane: _Lane) -> None:
    if lane.graph is not None:
        lane.graph.close()
        lane.graph = None
    del lane.context


def _fixed(name: str, shape: trt.Dims) -> Shape:
    sizes = tuple(shape)
    if any(size < 0 for size in sizes):
        raise BackendError(f"the shape of the engine's {name!r} depends on its data: {sizes}")
    return sizes
