"""The machine itself: its system, what decodes video on it, and its GPU."""

from __future__ import annotations

import contextlib
import platform
import sys
from pathlib import Path

from edge_lpr.cli.doctor.check import Check
from edge_lpr.environment import cores, versions
from edge_lpr.errors import BackendError, EdgeLprError
from edge_lpr.installing import install_command

__all__ = ["gpu_checks", "system_checks", "video_checks"]

_MODEL_FILE = Path("/proc/device-tree/model")  # names a Jetson


def system_checks() -> list[Check]:
    """What this runs on."""
    machine = f"{platform.system()} {platform.release()}, {platform.machine()}, {cores()} CPU cores"
    with contextlib.suppress(OSError):
        machine = f"{_MODEL_FILE.read_text(encoding='utf-8', errors='replace').strip(chr(0))}, {machine}"
    return [
        Check("system", "edge-lpr", "ok", versions("edge-lpr").get("edge-lpr", "from source, not installed")),
        Check("system", "Python", "ok", f"{platform.python_version()} ({sys.executable})"),
        Check("system", "machine", "ok", machine),
    ]


def video_checks() -> list[Check]:
    """What decodes videos, cameras and addresses."""
    try:
        import cv2
    except Exception:  # reported under packages
        return []
    system = "pip's OpenCV has none; use the system's: pip uninstall opencv-python-headless, and"
    kinds = (
        ("FFMPEG", cv2.CAP_FFMPEG, "rtsp:// and other addresses", "pip install opencv-python-headless"),
        ("V4L2", cv2.CAP_V4L2, "cameras on Linux", ""),
        ("GStreamer", cv2.CAP_GSTREAMER, "pipelines", f"{system} apt install python3-opencv"),
    )
    checks = []
    for name, api, purpose, advice in kinds:
        there = cv2.videoio_registry.hasBackend(api)
        checks.append(Check("video", name, "ok" if there else "missing", purpose, "" if there else advice))
    return checks


def gpu_checks(device: int) -> list[Check]:
    """CUDA, TensorRT and the providers of ONNX Runtime.

    In this order: TensorRT 8.6 ends the process where it is touched without a device.

    Args:
        device: Number of the GPU.
    """
    from edge_lpr.backends.tensorrt.cuda import kernel_driver, open_gpu

    driver = kernel_driver()
    name = f"driver {driver}" if driver else "no NVIDIA driver"
    try:
        gpu = open_gpu(device)
    except EdgeLprError as e:
        if driver:
            return [
                Check("gpu", "CUDA", "missing", f"{name}; {e}", f"{install_command('tensorrt')} (pycuda)")
            ]
        found = versions("tensorrt").get("tensorrt")
        idle = [Check("gpu", "TensorRT", "missing", f"{found} installed, no GPU for it")] if found else []
        return [Check("gpu", "CUDA", "missing", f"{name}: plates are read on the CPU"), *idle]
    memory = f"{gpu.memory / 2**30:.0f} GiB{', shared with the CPU' if gpu.integrated else ''}"
    found = f"{gpu.name}, compute capability {gpu.compute_capability}, {memory}, CUDA {gpu.cuda}, {name}"
    checks = [Check("gpu", "CUDA", "ok", found)]
    try:
        from edge_lpr.backends.tensorrt.bindings import import_tensorrt

        checks.append(Check("gpu", "TensorRT", "ok", str(import_tensorrt().__version__)))
    except BackendError as e:
        checks.append(Check("gpu", "TensorRT", "missing", str(e)))
    return checks
