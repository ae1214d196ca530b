"""Which of several GPUs is used: the option that commands and backends share, and how many GPUs there are.

Asked of the driver alone: neither pycuda nor a backend has to be installed to know that a number is wrong.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

from edge_lpr.errors import SettingError
from edge_lpr.settings import Rule

__all__ = ["DEVICE_ARGUMENTS", "DEVICE_FLAG", "add_device_option", "check_device", "gpu_count"]

_DEVICE = Rule("number of the GPU, as nvidia-smi -L has it (default: 0)", low=0, whole=True, optional=True)
DEVICE_FLAG = "--device"
DEVICE_ARGUMENTS = {"metavar": "N", "type": _DEVICE.parse, "help": _DEVICE.help}
"""Of argparse's `add_argument`. Where the option is given there is no falling back to the CPU."""


def add_device_option(add: Callable[..., Any]) -> None:
    """Adds the option to a command: `args.device`, None where it is not given.

    Args:
        add: `add_argument` of a parser or group.
    """
    add(DEVICE_FLAG, **DEVICE_ARGUMENTS)


def gpu_count() -> int | None:
    """Returns how many GPUs CUDA shows, as `CUDA_VISIBLE_DEVICES` lets it; None where there is no driver."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return None
    count = ctypes.c_int()
    # CUDA Driver API: both return 0 for success. A driver without a device refuses to start.
    if driver.cuInit(ctypes.c_uint(0)) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value


def check_device(device: object) -> None:
    """Sees that a GPU that was asked for is there.

    Args:
        device: Its number; None where none was asked for.

    Raises:
        SettingError: It is no number, or there is no such GPU.
    """
    if not _DEVICE.holds(device):
        raise SettingError(f"device is {device!r}, {_DEVICE.expected()}")
    if not isinstance(device, int):
        return
    count = gpu_count()
    if not count:
        found = "no NVIDIA driver here" if count is None else "CUDA shows no GPU here"
        raise SettingError(f"device {device}: {found}; leave --device out to use what there is")
    if device >= count:
        numbers = "the number 0 alone" if count == 1 else f"the numbers 0 to {count - 1}"
        raise SettingError(
            f"device {device}: no such GPU; CUDA shows {numbers} (nvidia-smi -L and CUDA_VISIBLE_DEVICES)"
        )
