"""Models in memory behind the `Backend` protocol: what is tried in a search never touches a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
from numpy.typing import NDArray

from edge_lpr.errors import BackendError, MissingExtraError, ModelError


def open_session(model: onnx.ModelProto | bytes, threads: int | None = None) -> Any:  # noqa: ANN401 - untyped
    """Opens a model in ONNX Runtime on the CPU.

    Args:
        model: The model, or its bytes.
        threads: Threads of one run; None is one per core.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        ModelError: ONNX Runtime cannot load the model.
    """
    try:
        import onnxruntime as ort
    except ImportError as e:
        raise MissingExtraError("onnxruntime", "cpu", "calibration") from e
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what matters comes back as an exception
    if threads is not None:
        options.intra_op_num_threads = threads
    data = model if isinstance(model, bytes) else model.SerializeToString()
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as e:
        reason = " ".join(str(e).split())[:200]
        raise ModelError(f"ONNX Runtime {ort.__version__} cannot load the model ({reason})") from e


class MemoryBackend:
    """A model in memory; see `edge_lpr.backends.base.Backend`.

    Args:
        model: The model, or its bytes.
        precision: What it is called.
        record: Whether `inputs` and `outputs` keep what each run took and gave.
    """

    name = "onnxruntime"
    device = "cpu"
    max_batch: int | None = None
    sizes: tuple[tuple[int, int], ...] | None = None

    def __init__(self, model: onnx.ModelProto | bytes, precision: str = "fp32", record: bool = False) -> None:
        self.precision = precision
        self.inputs: list[NDArray[Any]] = []
        self.outputs: list[NDArray[Any]] = []
        self._record = record
        self._session: Any = open_session(model)
        self._names = [o.name for o in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Runs the model once; see `Backend.run`."""
        try:
            values = self._session.run(self._names, dict(inputs))
        except Exception as e:
            raise BackendError(f"ONNX Runtime failed: {' '.join(str(e).split())[:200]}") from e
        if self._record:
            self.inputs.append(next(iter(inputs.values())))
            self.outputs.append(values[0])
        return dict(zip(self._names, values, strict=True))

    def close(self) -> None:
        """Frees the session."""
        self._session = None
