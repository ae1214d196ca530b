"""ONNX Runtime: CUDA where it is really there, else the CPU. The one place that opens its sessions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

from numpy.typing import NDArray

from edge_lpr.backends.base import BACKENDS, THREADS, BackendKind, Models, check_threads, open_both
from edge_lpr.bundle.manifest import Bundle
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.environment import cores
from edge_lpr.errors import BackendError, BundleError, MissingExtraError, ModelError, one_line
from edge_lpr.installing import install_command
from edge_lpr.precisions import REFERENCE
from edge_lpr.types import Size

__all__ = ["CUDA", "OnnxRuntimeBackend", "import_onnxruntime", "open_session"]

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
# It gives a convolution between Q/DQ an INT32 bias, scaled by the product of the input's and weight's scales.
# In FP16 that can be below the smallest number, and the biases are lost: our detector's hmean fell from 0.97
# to 0.68 (ONNX Runtime 1.32). A file whose kernels want INT32 biases has them.
_WRONG_OPTIMIZERS = ["WeightBiasQuantization"]
# What one run on a GPU is best given, and how many are best at work at once.
GPU_BATCH, GPU_CONCURRENCY = 8, 4

Device = Literal["cuda", "cpu"]


def import_onnxruntime() -> Any:  # noqa: ANN401 - ONNX Runtime has no types
    """Imports ONNX Runtime, and has it report to nobody.

    From 1.29 on, its Linux packages tell Microsoft of each session unless this variable says otherwise by the
    time of the import, and keep an identifier of the machine in the home folder (docs/Privacy.md of ONNX
    Runtime). Where the user has set it, their word stands.

    Raises:
        ImportError: It is not installed, or cannot be loaded.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def open_session(
    model: bytes,
    label: str = "the model",
    *,
    threads: int | None = None,
    providers: Sequence[str] = (CPU,),
    optimized: bool = True,
) -> Any:  # noqa: ANN401 - ONNX Runtime has no types
    """Opens a model.

    Args:
        model: The ONNX file.
        label: What error messages call it.
        threads: Threads of one run; None is one per core.
        providers: ONNX Runtime's execution providers, the best first.
        optimized: Whether it may change the graph, as it does for speed.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        ModelError: ONNX Runtime cannot load the model.
    """
    try:
        ort = import_onnxruntime()
    except ImportError as e:
        raise MissingExtraError("onnxruntime", "cpu", "running models on this machine") from e
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what matters comes back as an exception
    # Its own format, which is told from ONNX by four of its bytes, is not what was checked.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # Idle workers that spin steal the cores from decoding and post-processing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A memory pattern is kept for every input size seen: with images of all sizes that is a gigabyte.
    options.enable_mem_pattern = False
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return ort.InferenceSession(
            model, options, providers=list(providers), disabled_optimizers=_WRONG_OPTIMIZERS
        )
    except Exception as e:  # ONNX Runtime's errors have no common class that is documented
        raise ModelError(
            f"{label}: ONNX Runtime {ort.__version__} cannot load it ({one_line(e, 300)})"
        ) from e


class OnnxRuntimeBackend:
    """One ONNX model in ONNX Runtime; see `Backend` for the protocol.

    Args:
        model: The ONNX file's bytes; see `from_file` for a bundle's.
        precision: What it is called.
        label: What error messages call the model.
        device: "cuda" or "cpu"; None takes CUDA where ONNX Runtime can use it.
        threads: Threads that one run uses on the CPU; None leaves it to ONNX Runtime (one per core).

    Attributes:
        input_name: Name of the model's first input.
        fell_back: Whether this ONNX Runtime was built for CUDA and could not start it.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        ModelError: It is not an ONNX model that this ONNX Runtime can load.
        BackendError: CUDA was asked for and ONNX Runtime fell back to the CPU, as it does in silence.
    """

    name = "onnxruntime"
    max_batch: int | None = None
    sizes: tuple[Size, ...] | None = None

    def __init__(
        self,
        model: bytes,
        precision: str = REFERENCE,
        *,
        label: str = "the model",
        device: Device | None = None,
        threads: int | None = None,
    ) -> None:
        providers = [CPU] if device == "cpu" or not _built_for_cuda() else [CUDA, CPU]
        self._session: Any = open_session(model, label, threads=threads, providers=providers)
        on_cuda = self._session.get_providers()[0] == CUDA
        if device == "cuda" and not on_cuda:
            raise BackendError(
                f"ONNX Runtime cannot use CUDA here: replace onnxruntime ({install_command('gpu')}), check "
                "that its CUDA and cuDNN are installed (edge-lpr doctor), or use --backend auto"
            )
        self.precision = precision
        self.device = "cuda" if on_cuda else "cpu"
        self.fell_back = CUDA in providers and not on_cuda
        # One image fills a CPU's cores by itself; a batch is no faster there, and takes memory for each
        # image.
        self.preferred_batch = GPU_BATCH if on_cuda else 1
        self.concurrency = min(GPU_CONCURRENCY, cores()) if on_cuda else 1
        self.input_name: str = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    @classmethod
    def from_file(
        cls, model: ModelFile, *, device: Device | None = None, threads: int | None = None
    ) -> OnnxRuntimeBackend:
        """Opens a file of a bundle, checked as it is read.

        Raises:
            BundleError: The file is damaged, or not an ONNX model that this ONNX Runtime can load.
        """
        try:
            return cls(model.read(), model.precision, label=str(model.path), device=device, threads=threads)
        except ModelError as e:
            raise BundleError(str(e)) from e

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Runs the model once; see `Backend.run`."""
        if self._session is None:
            raise BackendError("this backend was closed; open the reader again")
        try:
            values = self._session.run(self._outputs, dict(inputs))
        except Exception as e:
            raise BackendError(f"ONNX Runtime failed on {self.device}: {one_line(e, 300)}") from e
        return dict(zip(self._outputs, values, strict=True))

    def close(self) -> None:
        """Frees the session."""
        self._session = None


def _open(bundle: Bundle, precision: str, options: Mapping[str, Any]) -> Models:
    threads = options.get("threads")
    det, rec = open_both(bundle, precision, partial(OnnxRuntimeBackend.from_file, threads=threads))
    why = f"ONNX Runtime on {det.device}, {precision}"
    if getattr(det, "fell_back", False):
        why += "; its CUDA could not start (edge-lpr doctor tells more)"
    return Models(det, rec, why)


def _built_for_cuda() -> bool:
    try:
        ort = import_onnxruntime()
    except ImportError as e:
        raise MissingExtraError("onnxruntime", "cpu", "reading plates on this machine") from e
    return CUDA in ort.get_available_providers()


BACKENDS.register(
    BackendKind(
        name="onnxruntime",
        rank=100,
        open=_open,
        check=check_threads,
        options=(THREADS,),
    )
)
