"""Which nodes of a model ONNX Runtime runs where: read off a profile of one run.

What its CUDA provider has no kernel for runs on the CPU, with copies there and back, and nothing says so.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edge_lpr.errors import BackendError

__all__ = ["nodes_by_provider", "profiled_run"]


def profiled_run(
    session_options: Any,  # noqa: ANN401 - ONNX Runtime has no types
    open_it: Callable[[Any], Any],
    inputs: Mapping[str, NDArray[Any]],
) -> str:
    """Runs a model once under ONNX Runtime's profiler.

    Args:
        session_options: The `onnxruntime.SessionOptions` that it is opened with; changed here.
        open_it: Called with them; returns the `onnxruntime.InferenceSession`.
        inputs: All inputs by name.

    Returns:
        The profile, JSON.
    """
    with tempfile.TemporaryDirectory(prefix="edge-lpr-profile-") as folder:
        session_options.enable_profiling = True
        session_options.profile_file_prefix = str(Path(folder) / "run")
        session = open_it(session_options)
        session.run(None, dict(inputs))
        return Path(session.end_profiling()).read_text(encoding="utf-8", errors="replace")


def nodes_by_provider(profile: str) -> dict[str, list[str]]:
    """Reads a profile.

    Args:
        profile: What ONNX Runtime's profiler wrote: a list of events in the format of Chrome's tracing.

    Returns:
        For each execution provider the operators that it ran, one entry for each node, in the order of their
        first run.

    Raises:
        BackendError: It is no such profile, or names no node.
    """
    try:
        events = json.loads(profile)
    except ValueError as e:
        raise BackendError(f"ONNX Runtime's profile is no JSON ({e})") from e
    found: dict[str, dict[str, str]] = {}
    for event in events if isinstance(events, list) else ():
        arguments = event.get("args") if isinstance(event, dict) and event.get("cat") == "Node" else None
        if isinstance(arguments, dict) and (provider := arguments.get("provider")):
            # Of a node's events, where older versions have several, the kernel's time alone has a provider.
            nodes = found.setdefault(str(provider), {})
            nodes.setdefault(str(event.get("name")), str(arguments.get("op_name", "?")))
    if not found:
        raise BackendError("ONNX Runtime's profile names no node and its provider")
    return {provider: list(nodes.values()) for provider, nodes in found.items()}
