"""ONNX Runtime: CUDA where it is really there, else the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from numpy.typing import NDArray

from edge_lpr.bundle.manifest import ModelFile
from edge_lpr.errors import BackendError, BundleError, MissingExtraError

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"


class OnnxRuntimeBackend:
    """One ONNX model in ONNX Runtime; see `Backend` for the protocol.

    Args:
        model: The file, checked as it is read.
        device: "cuda" or "cpu"; None takes CUDA where ONNX Runtime can use it.
        threads: Threads that one run uses on the CPU; None leaves it to ONNX Runtime (one per core).

    Attributes:
        fell_back: Whether this ONNX Runtime was built for CUDA and could not start it.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        BundleError: The file is damaged, or not an ONNX model that this ONNX Runtime can load.
        BackendError: CUDA was asked for and ONNX Runtime fell back to the CPU, as it does in silence.
    """

    name = "onnxruntime"
    max_batch: int | None = None
    sizes: tuple[tuple[int, int], ...] | None = None

    def __init__(
        self, model: ModelFile, device: Literal["cuda", "cpu"] | None = None, threads: int | None = None
    ) -> None:
        try:
            import onnxruntime as ort
        except ImportError as e:
            raise MissingExtraError("onnxruntime", "cpu", "reading plates on this machine") from e
        data = model.read()
        options = ort.SessionOptions()
        options.log_severity_level = 4  # what matters comes back as an exception
        # Idle workers that spin steal the cores from decoding and post-processing.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # A memory pattern is kept for every input size seen: with images of all sizes that is a gigabyte.
        options.enable_mem_pattern = False
        if threads is not None:
            options.intra_op_num_threads = threads
        providers = [CPU] if device == "cpu" or CUDA not in ort.get_available_providers() else [CUDA, CPU]
        try:
            self._session: Any = ort.InferenceSession(data, options, providers=providers)
        except Exception as e:
            raise BundleError(
                f"{model.path}: ONNX Runtime {ort.__version__} cannot load it ({_first_line(e)})"
            ) from e
        on_cuda = self._session.get_providers()[0] == CUDA
        if device == "cuda" and not on_cuda:
            raise BackendError(
                "ONNX Runtime cannot use CUDA here: pip install 'edge-lpr[gpu]' in place of [cpu], check "
                "that its CUDA and cuDNN are installed (edge-lpr doctor), or use --backend auto"
            )
        self.precision = model.precision
        self.device = "cuda" if on_cuda else "cpu"
        self.fell_back = CUDA in providers and not on_cuda

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Runs the model once; see `Backend.run`."""
        if self._session is None:
            raise BackendError("this backend was closed; open the reader again")
        names = [output.name for output in self._session.get_outputs()]
        try:
            values = self._session.run(names, dict(inputs))
        except Exception as e:
            raise BackendError(f"ONNX Runtime failed on {self.device}: {_first_line(e)}") from e
        return dict(zip(names, values, strict=True))

    def close(self) -> None:
        """Frees the session."""
        self._session = None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
