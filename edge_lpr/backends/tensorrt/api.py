"""TensorRT's Python API as far as its versions differ: the one module that knows what a version has.

What a version can do is asked of its own module (has this enum that member?), not concluded from its number.
What all supported versions share (8.6, 10.x, 11.x) is called directly elsewhere, and type-checked against
each of them by `tests/typing/check.py`; what they do not share goes through here.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_lpr.backends.tensorrt.cuda import Gpu
from edge_lpr.errors import BackendError

if TYPE_CHECKING:
    import tensorrt as trt

OLDEST = (8, 6)
# Bindings older than this read numpy 2 arrays as zeros, without a word.
NUMPY_2 = (10, 16)
CUDA_TOO_OLD = "error: 35"  # cudaErrorInsufficientDriver, as TensorRT logs it
KEPT_LINES = 200

_log = logging.getLogger("edge_lpr.tensorrt")


@dataclass(frozen=True)
class Features:
    """What one TensorRT version can do.

    Attributes:
        network_flags: Flags of `create_network` for a network whose types the ONNX decides as far as the
            version can: STRONGLY_TYPED on 10, EXPLICIT_BATCH on 8.6, none on 11, which has no other networks.
        weak_flags: The flags for a network whose types `type_flags` decide; None where there is none such.
        strongly_typed: Whether `network_flags` makes the types of the ONNX binding.
        type_flags: Those of BuilderFlag's FP16 and INT8 that there are.
        int8_weights: Whether a weight may be an INT8 constant, and that of a transposed convolution have a
            scale per output channel; see `edge_lpr.engines.qdq_trt8`.
        share_profiles: Whether several execution contexts may use one profile only once a preview feature
            is switched on (8.6; always on later).
        progress: Whether builds report to a progress monitor.
        user_managed: Whether a context without memory of its own is asked for by allocation strategy.
    """

    network_flags: int
    weak_flags: int | None
    strongly_typed: bool
    type_flags: tuple[str, ...]
    int8_weights: bool
    share_profiles: bool
    progress: bool
    user_managed: bool


def features(module: ModuleType) -> Features:
    """Reads off a `tensorrt` module what it can do.

    Args:
        module: The imported module.
    """
    creation = module.NetworkDefinitionCreationFlag
    explicit = _bit(creation, "EXPLICIT_BATCH")
    strong = _bit(creation, "STRONGLY_TYPED")
    type_flags = tuple(name for name in ("FP16", "INT8") if hasattr(module.BuilderFlag, name))
    return Features(
        # Where the type flags are gone, all networks are strongly typed and the flag is deprecated.
        network_flags=(strong or explicit) if type_flags else 0,
        weak_flags=explicit if type_flags else None,
        strongly_typed=bool(strong) or not type_flags,
        type_flags=type_flags,
        # Came with 10, as strongly typed networks did.
        int8_weights=bool(strong) or not type_flags,
        share_profiles=not strong and hasattr(module.PreviewFeature, "PROFILE_SHARING_0806"),
        progress=hasattr(module, "IProgressMonitor"),
        user_managed=hasattr(module, "ExecutionContextAllocationStrategy"),
    )


def _bit(enum: object, name: str) -> int:
    return 1 << int(getattr(enum, name)) if hasattr(enum, name) else 0


class Log:
    """TensorRT's messages, the last ones kept so that a failed call can say why it failed."""

    def __init__(self) -> None:
        self._lines: deque[tuple[int, str]] = deque(maxlen=KEPT_LINES)
        self._count = 0
        self._lock = threading.Lock()

    def add(self, severity: str, message: str) -> None:
        """Keeps a message of severity INTERNAL_ERROR or ERROR, and passes every one on to `logging`.

        Errors go there as INFO too: what matters of them is raised, and nothing is said twice.
        """
        _log.log(logging.DEBUG if severity in ("VERBOSE", "INFO") else logging.INFO, "%s", message)
        if severity in ("INTERNAL_ERROR", "ERROR"):
            with self._lock:
                self._count += 1
                self._lines.append((self._count, " ".join(message.split())))

    def mark(self) -> int:
        """Returns the point up to which messages are known."""
        return self._count

    def since(self, mark: int) -> str:
        """Returns the errors after a mark as one line, the same one once; empty where there is none."""
        return "; ".join(self.lines(mark))

    def lines(self, mark: int) -> list[str]:
        """Returns the errors after a mark, the same one once."""
        with self._lock:
            return list(dict.fromkeys(line for number, line in self._lines if number > mark))


class TensorRT:
    """A TensorRT that can be used on this machine.

    Args:
        gpu: The opened device: TensorRT crashes without one, so there is no way here around asking for it.

    Raises:
        BackendError: TensorRT is not installed, too old, or does not go with the installed numpy.
    """

    def __init__(self, gpu: Gpu) -> None:
        module = import_tensorrt()
        self.gpu = gpu
        self.version: str = module.__version__
        self.features = features(module)
        self.log, self.logger = _logger()

    def failure(self, what: str, mark: int) -> BackendError:
        """Makes the error of a failed call from what TensorRT logged.

        Args:
            what: What failed, as the start of a sentence.
            mark: `Log.mark` from before the call.
        """
        lines = self.log.since(mark) or "TensorRT gave no reason"
        if CUDA_TOO_OLD in lines:
            lines += f" (the driver supports CUDA {self.gpu.cuda}, less than this TensorRT needs: upgrade it)"
        return BackendError(f"{what}: {lines}")

    def runtime(self, *, host_code: bool = False) -> trt.Runtime:
        """Creates what deserializes engines.

        Args:
            host_code: Whether a plan may bring its own runtime along, as a version-compatible one does.
        """
        import tensorrt as trt

        mark = self.log.mark()
        with self.gpu.active():
            try:
                runtime = trt.Runtime(self.logger)
            except TypeError as e:  # pybind11's word for a null pointer
                raise self.failure(f"TensorRT {self.version} cannot start", mark) from e
            runtime.engine_host_code_allowed = host_code
        return runtime

    def activation_bytes(self, engine: trt.ICudaEngine) -> int:
        """Returns the device memory that one execution context of the engine works in, in bytes."""
        untyped: Any = engine
        newest = getattr(untyped, "device_memory_size_v2", None)
        return int(untyped.device_memory_size if newest is None else newest)

    def context(self, engine: trt.ICudaEngine, memory: int, size: int) -> trt.IExecutionContext:
        """Creates an execution context that works in memory given to it.

        Args:
            engine: The engine.
            memory: Device address of the memory, aligned to 256 bytes; it may serve several contexts that
                never run at the same time.
            size: Its length in bytes, `activation_bytes` or more.

        Raises:
            BackendError: TensorRT made none.
        """
        mark = self.log.mark()
        untyped: Any = engine
        if self.features.user_managed:
            import tensorrt as trt

            strategies: Any = trt
            strategy = strategies.ExecutionContextAllocationStrategy.USER_MANAGED
            context = untyped.create_execution_context(strategy)
        else:
            context = untyped.create_execution_context_without_device_memory()
        if context is None:
            raise self.failure("TensorRT cannot make an execution context", mark)
        if hasattr(context, "set_device_memory"):
            context.set_device_memory(memory, size)
        else:
            context.device_memory = memory
        made: trt.IExecutionContext = context
        return made

    def network(self, builder: trt.Builder, *, typed: bool) -> trt.INetworkDefinition:
        """Creates a network.

        Args:
            builder: The builder.
            typed: Whether the types of the ONNX are to bind, where the version can; a DLA wants them not to,
                as long as there is a choice.
        """
        weak = self.features.weak_flags
        return builder.create_network(self.features.network_flags if typed or weak is None else weak)

    def allow_types(
        self, config: trt.IBuilderConfig, network: trt.INetworkDefinition, precision: str, *, typed: bool
    ) -> None:
        """Sets the builder flags for what the network holds, where its types do not bind by themselves.

        Args:
            config: The build's configuration.
            network: The parsed network.
            precision: The model's precision.
            typed: As for `network`.
        """
        import tensorrt as trt

        if self.features.strongly_typed and (typed or self.features.weak_flags is None):
            return
        needed = {precision.upper()}
        for index in range(network.num_layers):
            layer = network.get_layer(index)
            if layer.type == trt.LayerType.QUANTIZE:
                needed.add("INT8")
            elif any(layer.get_output_type(i) == trt.DataType.HALF for i in range(layer.num_outputs)):
                needed.add("FP16")
        for name in self.features.type_flags:
            if name in needed:
                config.set_flag(trt.BuilderFlag.__members__[name])
        if typed and "FP16" in needed:
            # What the ONNX keeps in FP32 may overflow in FP16, which the flag allows everywhere.
            config.set_flag(trt.BuilderFlag.__members__["PREFER_PRECISION_CONSTRAINTS"])
            for index in range(network.num_layers):
                _keep_float(network.get_layer(index))

    def share_profiles(self, config: trt.IBuilderConfig) -> None:
        """Lets several execution contexts use one profile at the same time; later versions always do."""
        import tensorrt as trt

        if self.features.share_profiles:
            config.set_preview_feature(trt.PreviewFeature.__members__["PROFILE_SHARING_0806"], True)

    def parser_error(self, error: object, mark: int) -> str:
        """Returns one error of the ONNX parser with the node it is about.

        Args:
            error: A `tensorrt.ParserError`.
            mark: `Log.mark` from before the model was parsed.
        """
        untyped: Any = error
        where = f"node {untyped.node()}"
        if hasattr(error, "node_name"):  # 10 and later
            where = f"{untyped.node_operator()} node {untyped.node_name()!r}"
        else:  # 8.6 knows the node's number alone, and writes its operator and output into the log
            pattern = re.compile(rf"While parsing node number {untyped.node()} (\[.*?\])")
            found = [match[1] for line in self.log.lines(mark) if (match := pattern.search(line))]
            where += f" {found[0]}" if found else ""
        return " ".join(f"{untyped.desc()} (in {where})".split())

    def watch_progress(
        self, config: trt.IBuilderConfig, phase: Callable[[str], None], step: Callable[[], bool]
    ) -> None:
        """Has a build tell how far it is; does nothing where this version has no progress monitor.

        Args:
            config: The build's configuration.
            phase: Called with the name of a phase that begins.
            step: Called for each step that is done; False ends the build.
        """
        if self.features.progress:
            untyped: Any = config
            untyped.progress_monitor = make_monitor(phase, step)


def _keep_float(layer: trt.ILayer) -> None:
    """Asks for FP32 in a layer whose inputs and outputs are FP32."""
    import tensorrt as trt

    untyped: Any = layer
    inputs = [untyped.get_input(i) for i in range(layer.num_inputs)]
    kinds = {tensor.dtype for tensor in inputs if tensor is not None}
    kinds |= {layer.get_output_type(i) for i in range(layer.num_outputs)}
    if inputs and kinds == {trt.DataType.FLOAT}:
        untyped.precision = trt.DataType.FLOAT


def make_monitor(phase: Callable[[str], None], step: Callable[[], bool]) -> object:
    """Makes a `tensorrt.IProgressMonitor` of two functions; see `TensorRT.watch_progress`."""
    import tensorrt as trt

    untyped: Any = trt

    def construct(monitor: object) -> None:
        untyped.IProgressMonitor.__init__(monitor)

    methods = {
        "__init__": construct,
        "phase_start": lambda _, phase_name, parent_phase, num_steps: phase(phase_name),
        "step_complete": lambda _, phase_name, done: step(),
        "phase_finish": lambda _, phase_name: None,
    }
    monitor: object = type("Monitor", (untyped.IProgressMonitor,), methods)()
    return monitor


def import_tensorrt() -> ModuleType:
    """Imports `tensorrt` and checks that this kit and this numpy can use it.

    Importing is safe without a GPU; making a builder or a runtime is not.

    Returns:
        The module.

    Raises:
        BackendError: It is not installed, too old, or does not go with the installed numpy.
    """
    try:
        import tensorrt as trt
    except Exception as e:
        if isinstance(e, ModuleNotFoundError) and e.name == "tensorrt":
            raise BackendError(
                "TensorRT's Python module is not installed: on a Jetson JetPack brings it (sudo apt install "
                "python3-libnvinfer, and a virtual environment made with --system-site-packages); "
                "elsewhere: pip install tensorrt"
            ) from e
        raise BackendError(f"TensorRT cannot be imported: {str(e).splitlines()[0] if str(e) else e!r}") from e
    check_versions(trt.__version__, np.__version__)
    module: ModuleType = trt
    return module


def check_versions(tensorrt: str, numpy: str) -> None:
    """Refuses versions that cannot work together.

    Args:
        tensorrt: TensorRT's version.
        numpy: numpy's version.

    Raises:
        BackendError: TensorRT is older than 8.6, or its bindings read this numpy's arrays wrongly.
    """
    found = version_tuple(tensorrt)
    if found < OLDEST:
        raise BackendError(f"TensorRT {tensorrt} is too old: 8.6 (JetPack 6.0) or newer is needed")
    if found < NUMPY_2 and version_tuple(numpy) >= (2, 0):
        raise BackendError(
            f"TensorRT {tensorrt}'s Python module misreads arrays of numpy {numpy}: pip install 'numpy<2'"
        )


def version_tuple(version: str) -> tuple[int, int]:
    """Returns major and minor of "10.3.0"."""
    major, _, rest = version.partition(".")
    minor = rest.partition(".")[0]
    return int(major) if major.isdigit() else 0, int(minor) if minor.isdigit() else 0


@cache
def _logger() -> tuple[Log, trt.ILogger]:
    # One for the process: TensorRT keeps the first that it is given, and complains of others.
    import tensorrt as trt

    log = Log()

    class Logger(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
            log.add(severity.name, msg)

    return log, Logger()
