"""Run by `check.py` beside the real bindings of one version: does `api` find in them what it looks for?

    python probe.py EXPECTED        EXPECTED: `Features` as JSON

The libraries below the bindings are stand-ins, so nothing is built or run here. What is looked at is the
bindings' own: their members, and what Python can subclass and call.
"""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict
from typing import Any


def main(expected: dict[str, Any]) -> None:
    """Checks one version.

    Args:
        expected: The features that this version has.
    """
    trt = sys.modules["tensorrt"] = importlib.import_module("tensorrt_bindings")
    from edge_lpr.backends.tensorrt import api, features, tensors

    found = json.loads(json.dumps(asdict(features.features(trt))))
    assert found == expected, f"features are {found}, expected {expected}"

    # Everything that `api` asks for by name, and mypy therefore cannot see.
    engine, context = trt.ICudaEngine, trt.IExecutionContext
    assert hasattr(engine, "device_memory_size_v2") or hasattr(engine, "device_memory_size")
    if found["user_managed"]:
        assert hasattr(trt.ExecutionContextAllocationStrategy, "USER_MANAGED")
        assert "ExecutionContextAllocationStrategy" in (engine.create_execution_context.__doc__ or "")
        assert hasattr(context, "set_device_memory")
    else:
        assert hasattr(engine, "create_execution_context_without_device_memory")
        setter = context.__dict__["device_memory"].fset.__doc__
        assert "arg1: int" in setter, setter
    assert hasattr(trt.IBuilderConfig, "progress_monitor") == found["progress"]
    for name in found["type_flags"]:
        assert name in trt.BuilderFlag.__members__
    if not found["strongly_typed"]:
        assert "PREFER_PRECISION_CONSTRAINTS" in trt.BuilderFlag.__members__
        assert trt.ILayer.precision.fset is not None
        assert hasattr(trt.ILayer, "get_input") and hasattr(trt.ITensor, "dtype")
    if found["share_profiles"]:
        assert "PROFILE_SHARING_0806" in trt.PreviewFeature.__members__
    assert "AMPERE_PLUS" in trt.HardwareCompatibilityLevel.__members__
    unknown = set(tensors.DTYPES) - set(trt.DataType.__members__) - {"INT64"}
    assert not unknown, f"no such types: {unknown}"

    # Python classes below TensorRT's, as TensorRT would call them.
    log, logger = api._logger()
    mark = log.mark()
    logger.log(trt.ILogger.ERROR, "first\n line")
    logger.log(trt.ILogger.INFO, "unimportant")
    assert log.since(mark) == "first line", log.since(mark)
    if found["progress"]:
        phases: list[str] = []
        monitor: Any = api.make_monitor(phases.append, lambda: False)
        assert isinstance(monitor, trt.IProgressMonitor)
        monitor.phase_start("Timing", "Building", 3)
        assert phases == ["Timing"]
        assert monitor.step_complete("Timing", 0) is False
        monitor.phase_finish("Timing")
    print(f"TensorRT {trt.__version__}: {found}")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
