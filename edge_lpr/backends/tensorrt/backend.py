"""TensorRT through pycuda: an engine that was built on this machine, several batches in flight."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.backends.lending import Loan, OwnBatch
from edge_lpr.backends.tensorrt.api import TensorRT
from edge_lpr.backends.tensorrt.engine_folder import engines_folder, find_engine
from edge_lpr.backends.tensorrt.engine_manifest import EngineManifest
from edge_lpr.backends.tensorrt.execution_slot import ExecutionSlot
from edge_lpr.backends.tensorrt.host_buffers import BufferPool, HostBuffers
from edge_lpr.backends.tensorrt.profile import Shape
from edge_lpr.backends.tensorrt.tensors import Tensors
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.environment import cores
from edge_lpr.errors import BackendError, SettingError
from edge_lpr.signatures import PublicKey
from edge_lpr.types import Size

if TYPE_CHECKING:
    import tensorrt as trt

_logger = logging.getLogger("edge_lpr")

MAX_SLOTS = 16
# Images that fill a GPU, and batches at work at once: while one is there, those of the others are resized,
# cropped and decoded on the host.
PREFERRED_BATCH, MAX_CONCURRENCY = 8, 4


def load_engine(api: TensorRT, manifest: EngineManifest) -> trt.ICudaEngine:
    """Deserializes an engine whose manifest was found to fit this machine.

    Args:
        api: TensorRT on this machine.
        manifest: The engine's manifest.

    Raises:
        BackendError: The file is not the one of the manifest, or TensorRT refuses it.
    """
    plan = manifest.read_engine()
    runtime = api.runtime(host_code=bool(manifest.flags.get("version_compatible")))
    mark = api.log.mark()
    with api.gpu.active():
        engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise api.failure(f"{manifest.engine_path}: TensorRT {api.version} cannot load it", mark)
    return engine


class TensorRTBackend:
    """One TensorRT engine; see `Backend` for the protocol.

    `run` may be called from several threads: each run has a slot of its own, with its own stream, so that
    the copies of one overlap with the work of another. The first slot is made at once, so that a GPU without
    room for it is known here; each other one when it is first needed, and where it finds no room there are
    fewer.

    Args:
        model: The model; its engine is looked for by the model's sha256.
        folder: Where engines lie; None is `engines_folder()`.
        slots: Runs in flight, 1 to 16. Each has buffers and activation memory of its own.
        graphs: Whether shapes that come back are run as CUDA graphs.
        mapped: Whether the GPU works on the host's memory in place of copies; None does so on an
            integrated GPU.
        device: Number of the GPU, as CUDA counts them; None is the first.
        verify_key: The key that the engine has to be signed with; None asks for no signature.
        manifest: The engine to load; None looks for the one that takes images in the model's sizes.

    Attributes:
        sizes: The heights and widths that the input may have, in pixels, ascending by area; None where the
            engine takes ranges.
        machine: What it runs on.
        manifest: The manifest of the engine that was loaded.
        version: TensorRT's version.

    Raises:
        SettingError: `slots` is out of its range, or there is no GPU of that number.
        SignatureError: No engine is signed by that key, or its file is not what was signed.
        MissingExtraError: pycuda is not installed.
        BackendError: No GPU, no TensorRT, no engine that fits, or not enough memory.
    """

    name = "tensorrt"

    def __init__(
        self,
        model: ModelFile,
        *,
        folder: str | Path | None = None,
        slots: int = 2,
        graphs: bool = True,
        mapped: bool | None = None,
        device: int | None = None,
        verify_key: PublicKey | None = None,
        manifest: EngineManifest | None = None,
    ) -> None:
        if not 1 <= slots <= MAX_SLOTS:
            raise SettingError(f"slots is {slots!r}, must be an integer from 1 to {MAX_SLOTS}")
        api = TensorRT.open(device)
        self.machine = api.machine
        self.manifest = manifest or find_engine(engines_folder(folder), model, api.machine, verify_key)
        engine = load_engine(api, self.manifest)
        tensors = Tensors.from_engine(engine)
        self.precision = model.precision
        self.device = api.gpu.name
        self.version = api.version
        self.max_batch: int | None = max(profile.max[0] for profile in tensors.profiles)
        self.sizes = _sizes(tensors)
        self.preferred_batch = PREFERRED_BATCH
        self.concurrency = min(MAX_CONCURRENCY, cores())
        self._tensors = tensors
        self._mapped = api.gpu.integrated if mapped is None else mapped
        self._pool = _Pool(api, engine, tensors, slots, graphs, self._mapped)
        self._buffers = BufferPool(api.gpu, self._pool.lengths)
        # At the end of the process too: an engine must go before the context that it lives in.
        self._finalizer = weakref.finalize(self, _close, self._pool, self._buffers)
        try:
            self._pool.fill(1)
        except BaseException:
            self.close()
            raise

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Runs the model once; see `Backend.run`."""
        return self.submit(inputs).result()

    def submit(self, inputs: Mapping[str, NDArray[Any]]) -> Pending:
        """Starts a run and does not wait for it.

        Args:
            inputs: As for `run`; copied before this returns.

        Returns:
            The run. At most so many may be unfinished as `reserve` returns: one more waits until another
            thread finishes one.

        Raises:
            BackendError: The shape is not one that the engine takes, or the device failed.
        """
        array = self._check(inputs)
        slot = self._pool.take()
        try:
            with self._pool.gpu.active():
                slot.start(array)
        except BaseException:
            self._pool.give_back(slot)
            raise
        return Pending(self._pool, slot)

    def reserve(self) -> int:
        """Makes all slots now; returns how many there are room for."""
        return self._pool.fill()

    def time_resident(self, shape: Shape, runs: int) -> float:
        """Returns the milliseconds of one run by the device's clock; see `ExecutionSlot.time_resident`."""
        with self._slot() as slot:
            return slot.time_resident(shape, runs)

    def time_layers(self, shape: Shape, runs: int) -> dict[str, float]:
        """Returns the milliseconds of each layer; see `ExecutionSlot.time_layers`."""
        with self._slot() as slot:
            return slot.time_layers(shape, runs)

    @contextmanager
    def _slot(self) -> Iterator[ExecutionSlot]:
        slot = self._pool.take()
        try:
            with self._pool.gpu.active():
                yield slot
        finally:
            self._pool.give_back(slot)

    @contextmanager
    def lend(self, name: str, shape: Shape) -> Iterator[Loan]:
        """Lends page-locked memory; see `edge_lpr.backends.lending.Lender`.

        A slot is taken while the batch runs, not while it is filled and its results are read. On an
        integrated GPU, which works on a slot's memory itself, the batch is copied.
        """
        if self._mapped:
            yield OwnBatch(self, name, shape)
            return
        self._check_input(name, self._tensors.dtype, shape)
        buffers = self._buffers.take()
        loan = _SlotLoan(self._pool, buffers, buffers.view(name, shape, self._tensors.dtype))
        try:
            yield loan
        finally:
            (self._buffers.give_back if loan.is_done else self._buffers.retire)(buffers)

    @property
    def graph_refusal(self) -> str:
        """Why a shape runs without a CUDA graph, although graphs are on; empty where none was refused."""
        return self._pool.graph_refusal()

    def close(self) -> None:
        """Frees the engine and its buffers; runs in flight end first. May be called twice."""
        self._finalizer()

    def _check(self, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        tensors = self._tensors
        if set(inputs) != {tensors.input}:
            raise BackendError(f"inputs {', '.join(inputs) or 'none'}, but the engine has {tensors.input!r}")
        array = inputs[tensors.input]
        self._check_input(tensors.input, array.dtype, array.shape)
        return array

    def _check_input(self, name: str, dtype: np.dtype[Any], shape: Shape) -> None:
        tensors = self._tensors
        if name != tensors.input:
            raise BackendError(f"inputs {name}, but the engine has {tensors.input!r}")
        if dtype != tensors.dtype:
            raise BackendError(f"{name!r} is {dtype}, but the engine takes {tensors.dtype}")
        if tensors.profile(shape) is None:
            taken = ", ".join(dict.fromkeys(map(str, tensors.profiles)))
            raise BackendError(
                f"{name!r} is {'×'.join(map(str, shape))}, but the engine takes {taken}: "
                "build one for that shape with edge-lpr build --batch and --det-size"
            )


class Pending:
    """A run that was started."""

    def __init__(self, pool: _Pool, slot: ExecutionSlot) -> None:
        self._pool = pool
        self._slot: ExecutionSlot | None = slot

    def result(self) -> dict[str, NDArray[Any]]:
        """Waits for the run; to be called once.

        Returns:
            The outputs by name; they belong to the caller.

        Raises:
            BackendError: The device failed.
        """
        slot, self._slot = self._slot, None
        if slot is None:
            raise BackendError("the result of this run was taken already")
        try:
            with self._pool.gpu.active():
                return {name: result.copy() for name, result in slot.finish().items()}
        finally:
            self._pool.give_back(slot)

    def __del__(self) -> None:
        # A run whose result nobody takes still ends before its buffers serve another one: on the same stream.
        if self._slot is not None:
            self._pool.give_back(self._slot)


class _SlotLoan:
    """A batch in buffers, run in whichever slot is free.

    Attributes:
        is_done: Whether the device has done with the buffers.
    """

    def __init__(self, pool: _Pool, buffers: HostBuffers, batch: NDArray[Any]) -> None:
        self.batch = batch
        self.is_done = True
        self._pool, self._buffers = pool, buffers

    def run(self) -> dict[str, NDArray[Any]]:
        slot = self._pool.take()
        self.is_done = False
        try:
            with self._pool.gpu.active():
                slot.start(self.batch, self._buffers)
                results = slot.finish()
        finally:
            self._pool.give_back(slot)
        self.is_done = True
        return results


class _Pool:
    """The slots of an engine: made on demand, lent to one thread at a time, freed once."""

    def __init__(
        self, api: TensorRT, engine: trt.ICudaEngine, tensors: Tensors, limit: int, graphs: bool, mapped: bool
    ) -> None:
        self.gpu = api.gpu
        self._api = api
        self._engine: trt.ICudaEngine | None = engine
        self._tensors = tensors
        self._limit = limit
        self._settings = {"graphs": graphs, "mapped": mapped}
        self._idle: list[ExecutionSlot] = []
        self._made = 0
        self._told = False
        self._closed = False
        self._changed = threading.Condition()

    def take(self) -> ExecutionSlot:
        with self._changed:
            while not self._idle and self._made >= self._limit and not self._closed:
                self._changed.wait()
            if self._closed or self._engine is None:
                raise BackendError("this backend was closed; open the reader again")
            if self._idle:
                # The one used last: its shapes are set up and its graphs captured.
                return self._idle.pop()
            self._made += 1
            engine = self._engine
        made = self._make(engine)
        return self.take() if made is None else made

    def fill(self, number: int | None = None) -> int:
        """Makes slots, up to a number or the limit; returns how many there are then."""
        while True:
            with self._changed:
                wanted = self._limit if number is None else min(number, self._limit)
                if self._made >= wanted or self._closed or self._engine is None:
                    return self._made
                self._made += 1
                engine = self._engine
            slot = self._make(engine)
            if slot is not None:
                self.give_back(slot)

    def _make(self, engine: trt.ICudaEngine) -> ExecutionSlot | None:
        """Makes the slot that was counted already; None where there is no room for one beside the others."""
        try:
            with self.gpu.active():
                return ExecutionSlot(self._api, engine, self._tensors, **self._settings)
        except BaseException as e:
            with self._changed:
                self._made -= 1
                self._changed.notify_all()
                if not self._made or not isinstance(e, BackendError):
                    raise
                # Threads may find that at the same time; one of them says so.
                self._limit = min(self._limit, self._made)
                told, self._told = self._told, True
            if not told:
                _logger.warning(f"{e}; going on with fewer at once")
            return None

    def give_back(self, slot: ExecutionSlot) -> None:
        with self._changed:
            self._idle.append(slot)
            if self._closed:
                self._free()
            self._changed.notify()

    def lengths(self) -> dict[str, int]:
        """Returns the bytes that each tensor needs at most, by name."""
        slot = self.take()
        try:
            return dict(slot.lengths)
        finally:
            self.give_back(slot)

    def graph_refusal(self) -> str:
        with self._changed:
            return next((slot.graph_refusal for slot in self._idle if slot.graph_refusal), "")

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._free()
            self._changed.notify_all()

    def _free(self) -> None:
        with self.gpu.active():
            while self._idle:
                self._idle.pop().close()
                self._made -= 1
            if not self._made:
                self._engine = None


def _close(pool: _Pool, buffers: BufferPool) -> None:
    pool.close()
    buffers.close()


def _sizes(tensors: Tensors) -> tuple[Size, ...] | None:
    sizes = set()
    for profile in tensors.profiles:
        if profile.min[1:3] != profile.max[1:3]:
            return None
        sizes.add((profile.max[1], profile.max[2]))
    return tuple(sorted(sizes, key=lambda size: size[0] * size[1]))
