"""What the pipeline asks of an inference backend, whichever runs below it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from edge_lpr.bundle.manifest import Bundle
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.devices import DEVICE_ARGUMENTS, DEVICE_FLAG
from edge_lpr.errors import SettingError
from edge_lpr.registry import Registry
from edge_lpr.settings import Rule
from edge_lpr.types import Part, Size

__all__ = [
    "AUTO",
    "BACKENDS",
    "DEVICE",
    "THREADS",
    "Backend",
    "BackendKind",
    "BackendOption",
    "Models",
    "check_threads",
    "open_both",
]

AUTO = "auto"
"""In place of a backend's or a precision's name: the best that runs here."""


@runtime_checkable
class Backend(Protocol):
    """One loaded model: named arrays in, named arrays out.

    `run` may be called from several threads at once. Arrays that come back belong to the caller.

    Attributes:
        name: "onnxruntime", "tensorrt".
        precision: "fp32", "fp16", "int8" or "int8-cpu".
        device: "cpu", or the GPU's name.
        max_batch: Largest batch that one `run` takes; None where any does.
        sizes: Heights and widths that the input may have, in pixels, ascending by area; None where any may.
        preferred_batch: Images that one run is best given: 1 where one fills the device by itself.
        concurrency: Batches that are best at work at once: 1 where one keeps the host's cores busy.
    """

    name: str
    precision: str
    device: str
    max_batch: int | None
    sizes: tuple[Size, ...] | None
    preferred_batch: int
    concurrency: int

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Runs the model once.

        Args:
            inputs: The model's inputs by name, C-contiguous, uint8 N×H×W×3 in this kit's bundles.

        Returns:
            The model's outputs by name.

        Raises:
            BackendError: The shape is not one that the model takes, or the device failed.
        """
        ...

    def close(self) -> None:
        """Frees what the model holds; may be called twice."""
        ...


@dataclass(frozen=True)
class Models:
    """Detector and recognizer, opened.

    Attributes:
        det: The detector.
        rec: The recognizer.
        why: One line: what runs where, and why not in something faster.
        frames: The detector with the resizing in it, for whole frames of one camera size each; by the frames'
            size and by that of the network's input, heights and widths in pixels.
    """

    det: Backend
    rec: Backend
    why: str
    frames: Mapping[tuple[Size, Size], Backend] = field(default_factory=dict)

    def close(self) -> None:
        """Frees the models; may be called twice."""
        for backend in (self.det, self.rec, *self.frames.values()):
            backend.close()


@dataclass(frozen=True)
class BackendOption:
    """A setting that a backend has. Backends may share one, which is then declared alike by each.

    Attributes:
        name: What `PlateReader(options=…)` calls it.
        flag: The command's option for it, "--gpu-memory"; "" where the command has none.
        arguments: Of argparse's `add_argument`.
    """

    name: str
    flag: str = ""
    arguments: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class BackendKind:
    """One way to run a bundle's models; a module of this package registers one.

    Attributes:
        name: What it is chosen by.
        rank: "auto" tries the lowest first.
        open: Opens both models of a bundle: from the bundle, a precision, and the options given.
        absence: Why this machine cannot have it, so that "auto" need not try; "" where it may.
        options: The settings that it has.
        check: Raises `SettingError` for a value of these settings that cannot be, whichever backend will run.
        picks_precision: Whether `open` takes `AUTO` for a precision and picks one by itself; else it is given
            the reference, FP32, in its place.
        readiness: Module of a stage with `make_ready` and `offered`, imported only when it is asked for, that
            sees that a machine of a cluster has what `open` needs beside the bundle
            (`edge_lpr.engines.readiness`); "" where that is nothing.
    """

    name: str
    rank: int
    open: Callable[[Bundle, str, Mapping[str, Any]], Models]
    absence: Callable[[], str] = lambda: ""
    options: tuple[BackendOption, ...] = ()
    check: Callable[[Mapping[str, Any]], None] = lambda options: None
    picks_precision: bool = False
    readiness: str = ""


_THREADS = Rule("CPU threads (default: one per core)", low=1, whole=True, optional=True)
THREADS = BackendOption(
    "threads", "--threads", {"metavar": "N", "type": _THREADS.parse, "help": _THREADS.help}
)
"""A hint that every backend takes: what runs on a GPU has no use for it."""
DEVICE = BackendOption("device", DEVICE_FLAG, DEVICE_ARGUMENTS)
"""Which GPU; see `edge_lpr.devices`."""


def check_threads(options: Mapping[str, Any]) -> None:
    """Sees that `THREADS`, where it is given, is an integer from 1.

    Raises:
        SettingError: It is not.
    """
    threads = options.get(THREADS.name)
    if not _THREADS.holds(threads):
        raise SettingError(f"threads is {threads!r}, {_THREADS.expected()}")


def _shared_alike(kind: BackendKind, others: Iterable[BackendKind]) -> None:
    """Sees that an option, and a flag of the command, means the same to all backends that have it."""
    theirs = [(other.name, option) for other in others for option in other.options]
    for option in kind.options:
        for owner, other in theirs:
            same = option.name == other.name or (option.flag and option.flag == other.flag)
            if same and option != other:
                raise SettingError(
                    f"backend {kind.name!r}: its option {option.name!r} ({option.flag or 'no flag'}) is "
                    f"declared otherwise by {owner!r}; declare it alike, or give it another name and flag"
                )


BACKENDS: Registry[BackendKind] = Registry("backend", "edge_lpr.backends", _shared_alike)


def open_both(
    bundle: Bundle, precision: str | Mapping[Part, str], opener: Callable[[ModelFile], Backend]
) -> tuple[Backend, Backend]:
    """Opens detector and recognizer of a bundle, or neither.

    Args:
        bundle: The bundle.
        precision: Which of its files; by network where they differ.
        opener: Opens one file.

    Raises:
        EdgeLprError: One of them cannot be opened; the other is closed.
    """
    by_part: Mapping[Part, str] = (
        {"det": precision, "rec": precision} if isinstance(precision, str) else precision
    )
    det = opener(bundle.model("det", by_part["det"]))
    try:
        return det, opener(bundle.model("rec", by_part["rec"]))
    except BaseException:
        det.close()
        raise
