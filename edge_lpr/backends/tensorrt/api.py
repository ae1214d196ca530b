"""TensorRT's Python API as far as its versions differ: the one module that knows how a version is called.

What all supported versions share (8.6, 10.x, 11.x) is called directly elsewhere, and type-checked against
each of them by `tests/typing/check.py`; what they do not share goes through here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import cache
from typing import TYPE_CHECKING, Any, SupportsFloat

from edge_lpr.backends.tensorrt.bindings import import_tensorrt
from edge_lpr.backends.tensorrt.cuda import Gpu, open_gpu
from edge_lpr.backends.tensorrt.engine_manifest import Machine
from edge_lpr.backends.tensorrt.features import features
from edge_lpr.backends.tensorrt.log import Log
from edge_lpr.devices import check_device
from edge_lpr.errors import BackendError
from edge_lpr.precisions import PRECISIONS

if TYPE_CHECKING:
    import tensorrt as trt

CUDA_TOO_OLD = "error: 35"  # cudaErrorInsufficientDriver, as TensorRT logs it


class TensorRT:
    """A TensorRT that can be used on this machine.

    Args:
        gpu: The opened device: TensorRT crashes without one, so there is no way here around asking for it.

    Attributes:
        gpu: The device.
        version: TensorRT's version.
        features: What this version can do.
        machine: What an engine that is built here is tied to.
        log: TensorRT's messages.
        logger: The `tensorrt.ILogger` that fills it.

    Raises:
        BackendError: TensorRT is not installed, too old, or does not go with the installed numpy.
    """

    def __init__(self, gpu: Gpu) -> None:
        module = import_tensorrt()
        self.gpu = gpu
        self.version: str = module.__version__
        self.features = features(module)
        self.machine = Machine(
            tensorrt=self.version,
            gpu=gpu.name,
            compute_capability=gpu.compute_capability,
            integrated=gpu.integrated,
            cuda=gpu.cuda,
            driver=gpu.driver,
        )
        self.log, self.logger = _logger()

    @classmethod
    def open(cls, device: int | None = None) -> TensorRT:
        """Opens a GPU, and TensorRT on it.

        Args:
            device: Number of the GPU, as CUDA counts them; None is the first.

        Raises:
            SettingError: There is no GPU of that number.
            MissingExtraError: pycuda is not installed.
            BackendError: No device, or no TensorRT that can be used.
        """
        check_device(device)
        return cls(open_gpu(device or 0))

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
        self,
        config: trt.IBuilderConfig,
        network: trt.INetworkDefinition,
        precision: str,
        *,
        typed: bool,
        float_nodes: Collection[str] | None = None,
    ) -> None:
        """Sets the builder flags for what the network holds, where its types do not bind by themselves.

        Args:
            config: The build's configuration.
            network: The parsed network.
            precision: The model's precision.
            typed: As for `network`.
            float_nodes: Names of the ONNX nodes that are to compute in FP32; None where those are the ones
                whose tensors are FP32.
        """
        import tensorrt as trt

        if self.features.strongly_typed and (typed or self.features.weak_flags is None):
            return
        needed = set(PRECISIONS[precision].tensorrt_types)
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
                _keep_float(network.get_layer(index), float_nodes)

    def share_profiles(self, config: trt.IBuilderConfig) -> None:
        """Lets several execution contexts use one profile at the same time; later versions always do."""
        import tensorrt as trt

        if self.features.share_profiles:
            config.set_preview_feature(trt.PreviewFeature.__members__["PROFILE_SHARING_0806"], True)

    def profiler(self, note: Callable[[str, float], None]) -> trt.IProfiler:
        """Makes what an execution context tells the time of each layer.

        Args:
            note: Called with a layer's name and its milliseconds, once for each run.
        """
        import tensorrt as trt

        class Profiler(trt.IProfiler):
            def __init__(self) -> None:
                trt.IProfiler.__init__(self)

            def report_layer_time(self, layer_name: str, ms: SupportsFloat) -> None:
                note(layer_name, float(ms))

        return Profiler()

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


def _keep_float(layer: trt.ILayer, nodes: Collection[str] | None) -> None:
    """Asks for FP32 in a layer of some nodes, or else in one whose inputs and outputs are FP32."""
    import tensorrt as trt

    untyped: Any = layer
    if nodes is not None:
        # The parser gives a layer its node's name; where it makes several of a node, it says so of each.
        said = re.search(r"\[ONNX Layer: (.*?)\]", str(layer.metadata))
        if layer.name in nodes or (said is not None and said[1] in nodes):
            untyped.precision = trt.DataType.FLOAT
        return
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
