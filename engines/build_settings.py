"""How an engine is built; all of it is part of the engine's key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edge_lpr.errors import SettingError

DEFAULT_BATCHES = (1, 8)
# Raised when this kit builds the same settings in another way, so that older engines count as stale.
RECIPE = 2
MAX_OPTIMIZATION_LEVEL = 5


@dataclass(frozen=True)
class BuildSettings:
    """How engines are built.

    Attributes:
        batches: Batch sizes to be fast at, in images; see `profiles`.
        det_sizes: Input sizes of the detector as "WIDTHxHEIGHT", in pixels; empty takes the default ones.
        workspace_mib: Most device memory that one layer's kernel may work in, in MiB; None leaves it all.
        tf32: Whether an FP32 model may compute in TF32, which keeps 10 bits of the mantissa. FP16 and INT8
            models always may.
        version_compatible: Whether later TensorRT of the same major version may run the engine.
        hardware_compatible: Whether all discrete GPUs of compute capability 8.0 and above may run it.
        dla: Number of the DLA core to run on, None for the GPU.
        optimization_level: TensorRT's optimization level, 0 (fast build) to 5; None is TensorRT's default.
        tactic_sources: Names of TensorRT's TacticSource to choose kernels from; empty is TensorRT's choice.
            For machines without cuBLAS and cuDNN.

    Raises:
        SettingError: A value is out of its range, or two contradict each other.
    """

    batches: tuple[int, ...] = DEFAULT_BATCHES
    det_sizes: tuple[str, ...] = ()
    workspace_mib: int | None = None
    tf32: bool = False
    version_compatible: bool = False
    hardware_compatible: bool = False
    dla: int | None = None
    optimization_level: int | None = None
    tactic_sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _within("--workspace", self.workspace_mib, 16, 1 << 20, "MiB")
        _within("--optimization-level", self.optimization_level, 0, MAX_OPTIMIZATION_LEVEL, "")
        _within("--dla", self.dla, 0, 7, "")
        if self.dla is not None and self.hardware_compatible:
            raise SettingError("--dla and --hardware-compatible: an engine for a DLA runs on its chip alone")
        if self.dla is not None and (len(set(self.batches)) != 1 or len(self.det_sizes) != 1):
            raise SettingError(
                "--dla takes one fixed shape: give one --batch and one --det-size, "
                "such as --batch 1 --det-size 1120x640"
            )

    def flags(self) -> dict[str, Any]:
        """Returns what of this a manifest keeps; batches and sizes stand in its profiles."""
        kept = asdict(self)
        del kept["batches"], kept["det_sizes"]
        kept["tactic_sources"] = sorted(self.tactic_sources)
        kept["recipe"] = RECIPE
        return kept


def names(values: Sequence[str], known: Sequence[str], option: str) -> tuple[str, ...]:
    """Checks names against those that there are, whatever their case.

    Raises:
        SettingError: A name is not known.
    """
    found = tuple(dict.fromkeys(value.upper() for value in values))
    for name in found:
        if name not in known:
            raise SettingError(f"{option} {name}: this TensorRT has {', '.join(known)}")
    return found


def _within(option: str, value: int | None, low: int, high: int, unit: str) -> None:
    if value is not None and not low <= value <= high:
        raise SettingError(f"{option} {value}: expected {low} to {high} {unit}".rstrip())
