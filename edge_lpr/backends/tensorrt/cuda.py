"""The GPU through pycuda: its primary context, retained once, made current by whichever thread works."""

from __future__ import annotations

import ctypes
import re
import threading
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from edge_lpr.errors import BackendError, MissingExtraError

# The kernel driver's own version; CUDA's API tells only which CUDA it supports.
DRIVER_FILE = Path("/proc/driver/nvidia/version")

_lock = threading.Lock()
_opened: dict[int, Gpu] = {}


@dataclass(frozen=True, eq=False)
class Gpu:
    """One CUDA device with its primary context.

    The primary context is the one that the CUDA runtime, and so TensorRT, uses by itself; a context of our
    own would hold memory that TensorRT could not reach.

    Attributes:
        index: Number of the device among those that `CUDA_VISIBLE_DEVICES` shows.
        name: The device's name, "Orin".
        compute_capability: Its compute capability, "8.7".
        integrated: Whether it shares the CPU's memory, as on a Jetson.
        memory: Its memory, in bytes.
        cuda: The newest CUDA that the driver supports, "12.6".
        driver: The kernel driver's version, "540.4.0"; empty where the system does not say.
    """

    index: int
    name: str
    compute_capability: str
    integrated: bool
    memory: int
    cuda: str
    driver: str
    context: Any = field(repr=False)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Makes the context current in this thread, and takes it off again whatever happens."""
        self.context.push()
        try:
            yield
        finally:
            self.context.pop()


def open_gpu(index: int = 0) -> Gpu:
    """Finds the GPU and retains its primary context; later calls return the same object.

    TensorRT must not be touched before this: `tensorrt.Runtime` of 8.6 ends the process with a segmentation
    fault where there is no device.

    Args:
        index: Number of the device.

    Raises:
        MissingExtraError: pycuda is not installed.
        BackendError: No driver, a driver that is too old, or no device.
    """
    with _lock:
        if index not in _opened:
            _opened[index] = gpu = _open(import_driver(), index)
            # At the end of the process, after the finalizers of what was made later and lives in it.
            weakref.finalize(gpu, _release, gpu.context)
        return _opened[index]


def has_driver() -> bool:
    """Tells whether an NVIDIA driver is installed at all, without starting it."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def import_driver() -> ModuleType:
    """Imports `pycuda.driver` and starts CUDA.

    Returns:
        The module.

    Raises:
        MissingExtraError: pycuda is not installed.
        BackendError: No driver, or one that is too old.
    """
    try:
        with warnings.catch_warnings():
            # With a driver that is too old pycuda warns, and then fails: the error below says it in one line.
            warnings.simplefilter("ignore")
            from pycuda import driver
    except ModuleNotFoundError as e:
        raise MissingExtraError("pycuda", "tensorrt", "TensorRT") from e
    except Exception as e:  # a wrong numpy shows as other than ImportError
        raise BackendError(f"no CUDA here: {_explain_import(str(e))}") from e
    try:
        driver.init()
    except driver.Error as e:
        raise BackendError(
            f"no CUDA here: {e}; check with nvidia-smi that the driver is loaded and sees a GPU"
        ) from e
    return cast("ModuleType", driver)


def kernel_driver() -> str:
    """Returns the version of the NVIDIA kernel driver, or an empty text where there is none."""
    try:
        text = DRIVER_FILE.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    match = re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", text)
    return match.group(0) if match else ""


def _open(driver: ModuleType, index: int) -> Gpu:
    try:
        count = driver.Device.count()
        if index >= count:
            raise BackendError(f"no GPU {index}: CUDA shows {count}; check CUDA_VISIBLE_DEVICES")
        device = driver.Device(index)
        version = driver.get_driver_version()
        return Gpu(
            index=index,
            name=device.name(),
            compute_capability="{}.{}".format(*device.compute_capability()),
            integrated=bool(device.get_attribute(driver.device_attribute.INTEGRATED)),
            memory=int(device.total_memory()),
            cuda=f"{version // 1000}.{version % 1000 // 10}",
            driver=kernel_driver(),
            context=device.retain_primary_context(),
        )
    except driver.Error as e:
        raise BackendError(f"the GPU {index} cannot be opened: {e}") from e


def _release(context: Any) -> None:  # noqa: ANN401 (pycuda has no types)
    # Made current first: pycuda lets go of a primary context properly only where it is.
    context.push()
    context.detach()


def _explain_import(message: str) -> str:
    first = (message.strip() or "pycuda cannot be imported").splitlines()[0]
    if "libcuda" in message and "cannot open" in message:
        return "no NVIDIA driver on this machine (libcuda.so.1 not found): install it, or run on a GPU"
    if "undefined symbol" in message:
        return (
            f"the NVIDIA driver is older than the CUDA that pycuda was built with ({first}); "
            "upgrade the driver, or build pycuda again: pip install --no-cache-dir --force-reinstall pycuda"
        )
    if "numpy" in message:
        return (
            f"pycuda was built for another numpy ({first}); "
            "build it again: pip install --no-cache-dir --force-reinstall pycuda"
        )
    return f"pycuda cannot be imported ({first})"
