"""A stand-in for the `tensorrt` module, on the driver of `driver.c`, whose engines run in ONNX Runtime.

It answers the calls that this kit makes, in the shape of TensorRT 8.6 or of 10 and later, and computes in the
stream's time: what is enqueued reads and writes its addresses when the stream is waited for. A plan is JSON
with the ONNX model and the profiles; one without a model doubles its input. It refuses what TensorRT refuses
and the kit has to notice: shapes outside the profile, contexts without memory, a plan that is none.
"""

from __future__ import annotations

import base64
import ctypes
import enum
import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

KERNEL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
ACTIVATIONS = 4096
PROFILES = (((1, 8, 8, 3), (1, 8, 8, 3)), ((2, 8, 8, 3), (4, 8, 8, 3)), ((1, 16, 8, 3), (2, 16, 8, 3)))

Shape = tuple[int, ...]
DataType = enum.Enum("DataType", "FLOAT HALF INT8 INT32 UINT8 BOOL")
TensorIOMode = enum.Enum("TensorIOMode", "NONE INPUT OUTPUT")
Severity = enum.Enum("Severity", "INTERNAL_ERROR ERROR WARNING INFO VERBOSE")
driver: Any = None  # set by the scenarios
failing = {"enqueue": False, "kernel": False, "build": False, "parse": False, "start": False, "crash": False}
failing["slow"] = False  # all but the quick level
# Of processes that are started: what is to fail, where builds are noted, and from which on they never end.
failing.update(dict.fromkeys(os.environ.get("HOST_GPU_FAILING", "").split(), True))
NOTES, ENDLESS = "HOST_GPU_NOTES", "HOST_GPU_ENDLESS_FROM"
BUILD_STEPS = 2


def plan(profiles: Sequence[tuple[Shape, Shape]] = PROFILES, model: bytes = b"") -> bytes:
    """Returns what an engine is deserialized from."""
    return json.dumps({"profiles": profiles, "model": base64.b64encode(model).decode()}).encode()


class ILogger:
    """Base of loggers."""

    Severity = Severity

    def log(self, severity: Severity, msg: str) -> None:
        raise NotImplementedError


class Runtime:
    """Deserializes; what is no plan is refused, as TensorRT refuses it."""

    engine_host_code_allowed = False

    def __init__(self, logger: ILogger) -> None:
        self.logger = logger
        if failing["start"]:  # as pybind11 puts it
            logger.log(Severity.ERROR, "CUDA initialization failure with error: 35. Please check your CUDA")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def deserialize_cuda_engine(self, serialized: bytes) -> Engine | None:
        try:
            return Engine(self.logger, json.loads(serialized))
        except ValueError:
            self.logger.log(Severity.ERROR, "magicTag mismatch")
            return None


class Engine:
    """One engine; how contexts are made differs between versions."""

    device_memory_size = device_memory_size_v2 = ACTIVATIONS

    def __init__(self, logger: ILogger, raw: dict[str, Any]) -> None:
        self.logger = logger
        self.profiles = [(tuple(low), tuple(high)) for low, high in raw["profiles"]]
        self.num_optimization_profiles = len(self.profiles)
        model = base64.b64decode(raw["model"])
        self.session: Any = None
        self.outputs = {"prob": DataType.FLOAT}
        if model:
            import onnxruntime as ort

            options = ort.SessionOptions()
            options.intra_op_num_threads = 1
            self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            types = {"tensor(float)": DataType.FLOAT, "tensor(uint8)": DataType.UINT8}
            self.outputs = {output.name: types[output.type] for output in self.session.get_outputs()}
        self.num_io_tensors = 1 + len(self.outputs)

    def compute(self, image: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        if self.session is None:
            return {"prob": (2.0 * image[..., 0]).astype(np.float32)}
        return dict(zip(self.outputs, self.session.run(None, {"image": image}), strict=True))

    def get_tensor_name(self, index: int) -> str:
        return ("image", *self.outputs)[index]

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType.UINT8 if name == "image" else self.outputs[name]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name == "image" else TensorIOMode.OUTPUT

    def get_tensor_profile_shape(self, name: str, index: int) -> list[Shape]:
        low, high = self.profiles[index]
        return [low, high, high]

    def create_execution_context(self, strategy: str = "") -> Context:
        context = ContextOf10(self)
        if strategy != "user managed":
            context.device_memory = 1  # its own; only looked at by the inspector
        return context

    def create_execution_context_without_device_memory(self) -> Context:
        return Context(self)

    def create_engine_inspector(self) -> Inspector:
        return Inspector()


class Inspector:
    """Says of one layer what TensorRT would, and of its types only where a context has a shape."""

    execution_context: Context | None = None

    def get_engine_information(self, layout: str) -> str:
        assert layout == "json"
        shape = self.execution_context.shape if self.execution_context else ()
        kind = "Float" if shape else "N/A due to dynamic shapes"
        tensor = {"Name": "t", "Dimensions": list(shape), "Format/Datatype": kind}
        layer = {"Name": "all", "LayerType": "Myelin", "Inputs": [tensor], "Outputs": [tensor]}
        return json.dumps({"Layers": [layer]})


class Context:
    """One context, as 8.6 has it: memory is an attribute."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.device_memory = 0
        self.profile: int | None = None
        self.shape: Shape = ()
        self.addresses: dict[str, int] = {}
        self.profiler: IProfiler | None = None
        self.kernel = KERNEL(self._compute)

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        self.profile = index
        return True

    def set_input_shape(self, name: str, shape: Shape) -> bool:
        assert self.profile is not None
        low, high = self.engine.profiles[self.profile]
        self.shape = tuple(shape)
        return all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True))

    def get_tensor_shape(self, name: str) -> Shape:
        if name == "image":
            return self.shape
        one = self.engine.compute(np.zeros((1, *self.shape[1:]), np.uint8))[name]
        return self.shape[0], *one.shape[1:]

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert self.device_memory and set(self.addresses) == {"image", *self.engine.outputs}
        if failing["enqueue"]:
            self.engine.logger.log(Severity.ERROR, "[executionContext.cpp] no kernel for this device")
            return False
        return bool(driver.host_gpu_launch(ctypes.c_void_p(stream), self.kernel, None) == 0)

    def _compute(self, _: object) -> int:
        if failing["kernel"]:
            return 700
        if self.profiler is not None:
            self.profiler.report_layer_time("first", 0.25)
            self.profiler.report_layer_time("second", 0.5)
        # The activation memory is written, as a network would: contexts that share it must not overlap.
        ctypes.memset(self.device_memory, 7, ACTIVATIONS)
        size = int(np.prod(self.shape))
        source = (ctypes.c_uint8 * size).from_address(self.addresses["image"])
        results = self.engine.compute(np.ctypeslib.as_array(source).reshape(self.shape))
        for name, result in results.items():
            target = (ctypes.c_uint8 * result.nbytes).from_address(self.addresses[name])
            np.ctypeslib.as_array(target)[:] = np.ascontiguousarray(result).view(np.uint8).ravel()
        return 0


class ContextOf10(Context):
    """A context as 10 and later have it: memory is set by a call, with its size."""

    def set_device_memory(self, memory: int, size: int) -> None:
        assert size >= ACTIVATIONS
        self.device_memory = memory


class TimingCache:
    """Which shapes were timed at which level."""

    def __init__(self, data: bytes) -> None:
        self.timed = set(data.decode().split())

    def serialize(self) -> bytes:
        return " ".join(sorted(self.timed)).encode()

    def combine(self, other: TimingCache, ignore_mismatch: bool) -> bool:
        self.timed |= other.timed
        return True


class Config(SimpleNamespace):
    """A build's configuration: keeps what it is told."""

    def __init__(self, old: bool) -> None:
        super().__init__(flags=set(), profiles=[], previews=set(), cache=None, workspace=0, tactics=0)
        self.builder_optimization_level = 3
        if not old:
            self.progress_monitor: Any = None

    def set_flag(self, flag: str) -> None:
        self.flags.add(flag)

    def clear_flag(self, flag: str) -> None:
        self.flags.discard(flag)

    def set_preview_feature(self, feature: str, enable: bool) -> None:
        self.previews.add(feature)

    def set_memory_pool_limit(self, pool: str, size: int) -> None:
        self.workspace = size

    def set_tactic_sources(self, sources: int) -> bool:
        self.tactics = sources
        return True

    def create_timing_cache(self, data: bytes) -> TimingCache:
        return TimingCache(data)

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
        self.cache = cache
        return True

    def get_timing_cache(self) -> TimingCache | None:
        return self.cache

    def add_optimization_profile(self, profile: SimpleNamespace) -> int:
        self.profiles.append(profile.shapes)
        return len(self.profiles) - 1


class Profile(SimpleNamespace):
    """An optimization profile."""

    def set_shape(self, name: str, low: Shape, opt: Shape, high: Shape) -> None:
        assert name == "image"
        self.shapes = (low, high)


def layer(kind: str, given: str, made: str) -> SimpleNamespace:
    """Returns a layer of a network, with one input or none, and one output."""
    source = SimpleNamespace(dtype=DataType[given] if given else None)
    return SimpleNamespace(
        type=kind,
        precision=None,
        num_inputs=int(bool(given)),
        get_input=lambda i: source,
        num_outputs=1,
        get_output_type=lambda i: DataType[made],
    )


class Builder:
    """Puts model and profiles together, and reports its steps where it is 10 or later."""

    num_DLA_cores = 0  # noqa: N815 (TensorRT's name)
    configs: ClassVar[list[Config]] = []
    networks: ClassVar[list[list[SimpleNamespace]]] = []
    old = False

    def __init__(self, logger: ILogger) -> None:
        self.logger = logger

    def create_network(self, flags: int) -> SimpleNamespace:
        name = SimpleNamespace(name="image")
        layers = [
            layer("cast", "UINT8", "HALF"),
            layer("conv", "HALF", "HALF"),
            layer("cast", "HALF", "FLOAT"),
        ]
        layers += [layer("pool", "FLOAT", "FLOAT"), layer("constant", "", "FLOAT")]
        self.networks.append(layers)
        return SimpleNamespace(
            flags=flags,
            model=b"",
            num_inputs=1,
            get_input=lambda i: name,
            num_layers=len(layers),
            get_layer=lambda i: layers[i],
        )

    def create_builder_config(self) -> Config:
        self.configs.append(Config(self.old))
        return self.configs[-1]

    def create_optimization_profile(self) -> Profile:
        return Profile()

    def build_serialized_network(self, network: SimpleNamespace, config: Config) -> bytes | None:
        level = config.builder_optimization_level
        shapes = ["x".join(map(str, high)) + f"@{level}" for _, high in config.profiles]
        new = [shape for shape in shapes if shape not in config.cache.timed]
        endless = self._note({"level": level, "profiles": len(shapes), "new": new}, config)
        monitor = getattr(config, "progress_monitor", None)
        for shape in new:
            if monitor is not None:
                monitor.phase_start(f"Timing {shape}", "Building", BUILD_STEPS)
            for step in range(BUILD_STEPS):
                time.sleep(1e6 if endless else 0)
                if monitor is not None and not monitor.step_complete(f"Timing {shape}", step):
                    return None
            config.cache.timed.add(shape)
        if failing["crash"]:
            os.kill(os.getpid(), signal.SIGSEGV)
        if failing["build"] or (failing["slow"] and level > 0):
            self.logger.log(Severity.ERROR, "[optimizer.cpp] no implementation for node Conv_3")
            return None
        return plan(config.profiles, network.model)

    def _note(self, build: dict[str, Any], config: Config) -> bool:
        """Notes a build that begins; returns whether it is never to end."""
        if NOTES not in os.environ:
            return False
        path = Path(os.environ[NOTES])
        before = len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0
        more = {name: getattr(config, name) for name in ("workspace", "tactics")}
        line = json.dumps({**build, **more, "previews": sorted(config.previews)})
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        return ENDLESS in os.environ and before >= int(os.environ[ENDLESS])


class OnnxParser:
    """Takes the model as it is."""

    num_errors = 1

    def __init__(self, network: SimpleNamespace, logger: ILogger) -> None:
        self.network = network
        self.logger = logger

    def parse(self, model: bytes) -> bool:
        self.network.model = model
        if failing["parse"] and Builder.old:  # as 8.6 writes it
            node = 'While parsing node number 17 [Fancy -> "fancy_17"]:'
            self.logger.log(Severity.ERROR, f"ModelImporter.cpp:771: {node}")
        return not failing["parse"]

    def get_error(self, index: int) -> SimpleNamespace:
        error = {"desc": lambda: "No importer registered for op: Fancy", "node": lambda: 17}
        named = {"node_name": lambda: "Fancy_17", "node_operator": lambda: "Fancy"}
        return SimpleNamespace(**error, **({} if Builder.old else named))


class IProfiler:
    """Base of profilers."""

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        raise NotImplementedError


class IProgressMonitor:
    """Base of progress monitors."""


def module(version: str) -> SimpleNamespace:
    """Returns the double of a version, "8.6.1" or "10.16.1"."""
    old = Builder.old = version.startswith("8")
    creation = {"EXPLICIT_BATCH": 0} if old else {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1}
    flags = {name: name for name in ("FP16", "INT8", "TF32", "PREFER_PRECISION_CONSTRAINTS")}
    sharing = "PROFILE_SHARING_0806"
    double = SimpleNamespace(
        __version__=version,
        ILogger=ILogger,
        IProfiler=IProfiler,
        Runtime=Runtime,
        Builder=Builder,
        OnnxParser=OnnxParser,
        DataType=DataType,
        TensorIOMode=TensorIOMode,
        LayerType=SimpleNamespace(QUANTIZE="quantize"),
        LayerInformationFormat=SimpleNamespace(JSON="json"),
        ProfilingVerbosity=SimpleNamespace(DETAILED="detailed"),
        MemoryPoolType=SimpleNamespace(WORKSPACE="workspace"),
        NetworkDefinitionCreationFlag=SimpleNamespace(**creation),
        BuilderFlag=SimpleNamespace(**flags, __members__=flags),
        PreviewFeature=SimpleNamespace(**{sharing: sharing}, __members__={sharing: sharing}),
        HardwareCompatibilityLevel=SimpleNamespace(__members__={"NONE": 0}),
        TacticSource=SimpleNamespace(__members__={"EDGE_MASK_CONVOLUTIONS": 3, "JIT_CONVOLUTIONS": 4}),
    )
    if not old:
        double.IProgressMonitor = IProgressMonitor
        double.ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED="user managed")
    return double
