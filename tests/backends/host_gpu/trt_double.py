"""A stand-in for the `tensorrt` module: one engine that doubles its input, on the driver of `driver.c`.

It answers the calls that the runtime makes, in the shape of TensorRT 8.6 or 10 and later, and computes in the
stream's time: what it enqueues reads and writes its addresses when the stream is waited for.
"""

from __future__ import annotations

import ctypes
import enum
from types import SimpleNamespace
from typing import Any

import numpy as np

KERNEL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
ACTIVATIONS = 4096
PROFILES = (((1, 8, 8, 3), (1, 8, 8, 3)), ((2, 8, 8, 3), (4, 8, 8, 3)), ((1, 16, 8, 3), (2, 16, 8, 3)))

DataType = enum.Enum("DataType", "FLOAT HALF INT8 INT32 UINT8 BOOL")
TensorIOMode = enum.Enum("TensorIOMode", "NONE INPUT OUTPUT")
driver: Any = None  # set by install()
failing: dict[str, bool] = {"enqueue": False, "kernel": False}


class ILogger:
    """Base of loggers."""

    Severity = enum.Enum("Severity", "INTERNAL_ERROR ERROR WARNING INFO VERBOSE")

    def log(self, severity: object, msg: str) -> None:
        raise NotImplementedError


class Runtime:
    """Deserializes; a plan that is not the test's own is refused, as TensorRT refuses one."""

    engine_host_code_allowed = False

    def __init__(self, logger: ILogger) -> None:
        self.logger = logger

    def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
        if not plan.startswith(b"plan"):
            self.logger.log(ILogger.Severity.ERROR, "magicTag mismatch")
            return None
        return Engine(self.logger)


class Engine:
    """One engine; `create_execution_context` differs between versions."""

    num_io_tensors = 2
    num_optimization_profiles = len(PROFILES)
    device_memory_size = device_memory_size_v2 = ACTIVATIONS

    def __init__(self, logger: ILogger) -> None:
        self.logger = logger

    def get_tensor_name(self, index: int) -> str:
        return ("image", "prob")[index]

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType.UINT8 if name == "image" else DataType.FLOAT

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name == "image" else TensorIOMode.OUTPUT

    def get_tensor_profile_shape(self, name: str, index: int) -> list[tuple[int, ...]]:
        low, high = PROFILES[index]
        return [low, high, high]

    def create_execution_context(self, strategy: str = "") -> Context:
        assert strategy == "user managed"
        return ContextOf10(self)

    def create_execution_context_without_device_memory(self) -> Context:
        return Context(self)


class Context:
    """One context, as 8.6 has it: memory is an attribute."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.device_memory = 0
        self.profile: int | None = None
        self.shape: tuple[int, ...] = ()
        self.addresses: dict[str, int] = {}
        self.kernel = KERNEL(self._compute)

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        self.profile = index
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert self.profile is not None
        low, high = PROFILES[self.profile]
        self.shape = tuple(shape)
        return all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True))

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shape if name == "image" else self.shape[:3]

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert self.device_memory and set(self.addresses) == {"image", "prob"}
        if failing["enqueue"]:
            self.engine.logger.log(ILogger.Severity.ERROR, "[executionContext.cpp] no kernel for this device")
            return False
        return bool(driver.host_gpu_launch(ctypes.c_void_p(stream), self.kernel, None) == 0)

    def _compute(self, _: object) -> int:
        if failing["kernel"]:
            return 700
        # The activation memory is written, as a network would: contexts that share it must not overlap.
        ctypes.memset(self.device_memory, 7, ACTIVATIONS)
        source = np.ctypeslib.as_array(
            (ctypes.c_uint8 * int(np.prod(self.shape))).from_address(self.addresses["image"])
        )
        target = (ctypes.c_float * int(np.prod(self.shape[:3]))).from_address(self.addresses["prob"])
        np.ctypeslib.as_array(target)[:] = 2.0 * source.reshape(self.shape)[..., 0].ravel()
        return 0


class ContextOf10(Context):
    """A context as 10 and later have it: memory is set by a call, with its size."""

    def set_device_memory(self, memory: int, size: int) -> None:
        assert size >= ACTIVATIONS
        self.device_memory = memory


def module(version: str) -> SimpleNamespace:
    """Returns the double of a version, "8.6.1" or "10.3.0"."""
    old = version.startswith("8")
    double = SimpleNamespace(
        __version__=version,
        ILogger=ILogger,
        Runtime=Runtime,
        DataType=DataType,
        TensorIOMode=TensorIOMode,
        NetworkDefinitionCreationFlag=SimpleNamespace(
            EXPLICIT_BATCH=0, **({} if old else {"STRONGLY_TYPED": 1})
        ),
        BuilderFlag=SimpleNamespace(FP16=0, INT8=1),
        PreviewFeature=SimpleNamespace(PROFILE_SHARING_0806=0),
        HardwareCompatibilityLevel=SimpleNamespace(__members__={"NONE": 0}),
    )
    if not old:
        double.IProgressMonitor = object
        double.ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED="user managed")
    return double
