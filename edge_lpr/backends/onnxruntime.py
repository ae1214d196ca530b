"""ONNX Runtime: CUDA where it is really there, else the CPU. The one place that opens its sessions."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Literal

from numpy.typing import NDArray

from edge_lpr.backends.base import (
    AUTO,
    BACKENDS,
    DEVICE,
    THREADS,
    BackendKind,
    Models,
    check_threads,
    open_both,
)
from edge_lpr.backends.measured import fastest
from edge_lpr.backends.onnxruntime_binding import BoundSession
from edge_lpr.backends.onnxruntime_profile import nodes_by_provider, profiled_run
from edge_lpr.bundle.manifest import Bundle
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.devices import check_device
from edge_lpr.environment import cores
from edge_lpr.errors import BackendError, BundleError, MissingExtraError, ModelError, one_line
from edge_lpr.installing import install_command
from edge_lpr.precisions import PRECISIONS, REFERENCE
from edge_lpr.types import PARTS, Part, Size

__all__ = ["CUDA", "OnnxRuntimeBackend", "cpu_opener", "import_onnxruntime", "open_session"]

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
# It gives a convolution between Q/DQ an INT32 bias, scaled by the product of the input's and weight's scales.
# In FP16 that can be below the smallest number, and the biases are lost: our detector's hmean fell from 0.97
# to 0.68 (ONNX Runtime 1.32). A file whose kernels want INT32 biases has them.
_WRONG_OPTIMIZERS = ["WeightBiasQuantization"]
# What one run on a GPU is best given, and how many are best at work at once.
GPU_BATCH, GPU_CONCURRENCY = 8, 4

Device = Literal["cuda", "cpu"]
Provider = str | tuple[str, Mapping[str, Any]]

_logger = logging.getLogger("edge_lpr")


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
    providers: Sequence[Provider] = (CPU,),
    optimized: bool = True,
) -> Any:  # noqa: ANN401 - ONNX Runtime has no types
    """Opens a model.

    Args:
        model: The ONNX file.
        label: What error messages call it.
        threads: Threads of one run; None is one per core.
        providers: ONNX Runtime's execution providers, the best first, each with its options where it has any.
        optimized: Whether it may change the graph, as it does for speed.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        ModelError: ONNX Runtime cannot load the model.
    """
    try:
        ort = import_onnxruntime()
    except ImportError as e:
        raise MissingExtraError("onnxruntime", "cpu", "running models on this machine") from e
    options = _session_options(threads, optimized)
    try:
        # With its own way to fall back it would print to standard output, and run on at the CPU's speed.
        return ort.InferenceSession(
            model,
            options,
            providers=list(providers),
            enable_fallback=0,
            disabled_optimizers=_WRONG_OPTIMIZERS,
        )
    except Exception as e:  # ONNX Runtime's errors have no common class that is documented
        raise ModelError(
            f"{label}: ONNX Runtime {ort.__version__} cannot load it ({one_line(e, 300)})"
        ) from e


def _session_options(threads: int | None, optimized: bool = True) -> Any:  # noqa: ANN401
    ort = import_onnxruntime()

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
    return options


class OnnxRuntimeBackend:
    """One ONNX model in ONNX Runtime; see `Backend` for the protocol.

    Args:
        model: The ONNX file's bytes; see `from_file` for a bundle's.
        precision: What it is called.
        label: What error messages call the model.
        device: "cuda" or "cpu"; None takes CUDA where ONNX Runtime can use it.
        threads: Threads that one run uses on the CPU; None leaves it to ONNX Runtime (one per core).
        gpu: Number of the GPU, as CUDA counts them.

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
        gpu: int = 0,
    ) -> None:
        on_gpu = device != "cpu" and _built_for_cuda()
        self._session: Any = None
        if on_gpu:
            _preload()
            with contextlib.suppress(ModelError):  # of the CPU it is heard again, if it was the model's fault
                self._session = open_session(model, label, threads=threads, providers=cuda_providers(gpu))
        if self._session is None:
            self._session = open_session(model, label, threads=threads)
        on_cuda = self._session.get_providers()[0] == CUDA
        if device == "cuda" and not on_cuda:
            raise BackendError(
                f"ONNX Runtime cannot use CUDA here: replace onnxruntime ({install_command('gpu')}), check "
                "that its CUDA and cuDNN are installed (edge-lpr doctor), or use --backend auto"
            )
        self.precision = precision
        self.device = "cuda" if on_cuda else "cpu"
        self.fell_back = on_gpu and not on_cuda
        self._bound = BoundSession(self._session, "cuda", gpu) if on_cuda else None
        # One image fills a CPU's cores by itself; a batch is no faster there, and takes memory for each
        # image.
        self.preferred_batch = GPU_BATCH if on_cuda else 1
        self.concurrency = min(GPU_CONCURRENCY, cores()) if on_cuda else 1
        self.input_name: str = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    @classmethod
    def from_file(
        cls, model: ModelFile, *, device: Device | None = None, threads: int | None = None, gpu: int = 0
    ) -> OnnxRuntimeBackend:
        """Opens a file of a bundle, checked as it is read.

        Raises:
            BundleError: The file is damaged, or not an ONNX model that this ONNX Runtime can load.
        """
        try:
            data, label = model.read(), str(model.path)
            return cls(data, model.precision, label=label, device=device, threads=threads, gpu=gpu)
        except ModelError as e:
            raise BundleError(str(e)) from e

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Runs the model once; see `Backend.run`."""
        if self._session is None:
            raise BackendError("this backend was closed; open the reader again")
        try:
            if self._bound is not None:
                values = self._bound.run(self._outputs, inputs)
            else:
                values = self._session.run(self._outputs, dict(inputs))
        except Exception as e:
            raise BackendError(f"ONNX Runtime failed on {self.device}: {one_line(e, 300)}") from e
        return dict(zip(self._outputs, values, strict=True))

    def close(self) -> None:
        """Frees the session."""
        self._session = self._bound = None


def cuda_providers(gpu: int) -> list[Provider]:
    """Returns ONNX Runtime's providers on a GPU, with their options.

    ONNX Runtime tries out all of cuDNN's algorithms for each new size of a convolution, which takes seconds;
    images come in all sizes, and cuDNN's own choice is nearly as fast.

    Args:
        gpu: Number of the GPU.
    """
    return [(CUDA, {"device_id": gpu, "cudnn_conv_algo_search": "HEURISTIC"}), CPU]


def nodes_on_cpu(model: ModelFile, inputs: Mapping[str, NDArray[Any]], gpu: int = 0) -> Counter[str]:
    """Finds what of a model runs on the CPU although the model is on a GPU.

    Args:
        model: The model.
        inputs: An input to run it with.
        gpu: Number of the GPU.

    Returns:
        The operators, and how many nodes of each.

    Raises:
        BackendError: ONNX Runtime has no CUDA here, or failed.
    """
    ort = import_onnxruntime()

    def session(options: object) -> Any:  # noqa: ANN401
        return ort.InferenceSession(model.read(), options, providers=cuda_providers(gpu), enable_fallback=0)

    if not _built_for_cuda():
        raise BackendError("this ONNX Runtime was not built for CUDA")
    _preload()
    try:
        found = nodes_by_provider(profiled_run(_session_options(None), session, inputs))
    except BackendError:
        raise
    except Exception as e:
        raise BackendError(f"{model.path}: ONNX Runtime cannot profile it ({one_line(e, 300)})") from e
    return Counter(found.get(CPU, ()))


def cpu_opener(threads: int | None) -> Callable[[ModelFile], OnnxRuntimeBackend]:
    """Returns what opens a bundle's file on the CPU, with so many threads; None is one per core."""
    return partial(OnnxRuntimeBackend.from_file, device="cpu", threads=threads)


def _open(bundle: Bundle, precision: str, options: Mapping[str, Any]) -> Models:
    threads, gpu = options.get(THREADS.name), options.get(DEVICE.name)
    if gpu is not None and precision == AUTO:  # what was measured is this machine's CPU
        precision = REFERENCE
    chosen, gains = _chosen(bundle, precision, threads)
    on_cpu = gpu is None and any(PRECISIONS[name].target == "cpu" for name in chosen.values())
    device: Device | None = None if gpu is None else "cuda"
    on_gpu = partial(OnnxRuntimeBackend.from_file, threads=threads, gpu=gpu or 0, device=device)
    det, rec = open_both(bundle, chosen, cpu_opener(threads) if on_cpu else on_gpu)
    why = f"ONNX Runtime on {det.device}, {_told(chosen, gains)}"
    if getattr(det, "fell_back", False):
        why += "; its CUDA could not start (edge-lpr doctor tells more)"
    return Models(det, rec, why)


def _chosen(bundle: Bundle, precision: str, threads: int | None) -> tuple[dict[Part, str], dict[Part, float]]:
    """Returns the precision of each network, and how many times as fast as FP32 that was measured to be."""
    if precision == AUTO:
        if _built_for_cuda():
            return dict.fromkeys(PARTS, REFERENCE), {}
        found = {part: fastest(bundle, part, cpu_opener(threads), threads) for part in PARTS}
        gains = {part: speed.gain for part, (_, speed) in found.items() if speed and speed.is_faster}
        return {part: name for part, (name, _) in found.items()}, gains
    if PRECISIONS[precision].target != "cpu":
        return dict.fromkeys(PARTS, precision), {}
    # A network that does not gain by it may have none.
    having = [part for part, models in bundle.files().items() if precision in models] or PARTS
    return {part: precision if part in having else REFERENCE for part in PARTS}, {}


def _told(chosen: Mapping[Part, str], gains: Mapping[Part, float]) -> str:
    det, rec = (
        f"{chosen[part]} ({gains[part]:.1f} times as fast as {REFERENCE} here)"
        if part in gains
        else chosen[part]
        for part in PARTS
    )
    return det if det == rec else f"detector {det}, recognizer {rec}"


def _built_for_cuda() -> bool:
    try:
        ort = import_onnxruntime()
    except ImportError as e:
        raise MissingExtraError("onnxruntime", "cpu", "reading plates on this machine") from e
    return CUDA in ort.get_available_providers()


@cache
def _preload() -> None:
    """Loads the CUDA and cuDNN that pip installed beside ONNX Runtime, which does not find them by itself."""
    ort = import_onnxruntime()

    if hasattr(ort, "preload_dlls"):  # 1.21 and later
        with contextlib.redirect_stdout(io.StringIO()) as said:  # it prints what it misses
            ort.preload_dlls()
        if said.getvalue():
            _logger.debug("ONNX Runtime: %s", " ".join(said.getvalue().split()))


def _check(options: Mapping[str, Any]) -> None:
    check_threads(options)
    check_device(options.get(DEVICE.name))


BACKENDS.register(
    BackendKind(
        name="onnxruntime",
        rank=100,
        open=_open,
        check=_check,
        options=(THREADS, DEVICE),
        picks_precision=True,
    )
)
