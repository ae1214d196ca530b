"""What `import tensorrt` finds in the processes that a scenario starts: the double of its version."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
import trt_double

trt_double.driver = ctypes.CDLL("libcuda.so.1")
sys.modules[__name__] = trt_double.module(os.environ["HOST_GPU_VERSION"])  # type: ignore[assignment]
