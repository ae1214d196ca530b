"""What `import tensorrt` finds in the processes of a test: the double that TensorRT's own tests have."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "backends" / "tensorrt" / "host_gpu"))
import trt_double

sys.modules[__name__] = trt_double.module("10.16.1")  # type: ignore[assignment]
