"""TensorRT's Python module: whether it is here, and whether this kit and this numpy can use it."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from edge_lpr.errors import BackendError

OLDEST = (8, 6)
# Bindings older than this read numpy 2 arrays as zeros, without a word.
NUMPY_2 = (10, 16)


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
    except Exception as e:  # a broken installation shows as more than ImportError
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
