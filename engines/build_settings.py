"""How an engine is built, declared once; all of it is part of the engine's key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edge_lpr.errors import SettingError
from edge_lpr.settings import Settings, setting, whole_setting

# A part of every engine's key. Raise it when the kit makes another plan of the same settings (another builder
# flag, another rewriting of the graph): engines that an older kit built are then not taken for the new ones.
FORMAT = 2
DEFAULT_BATCHES = (1, 8)
MAX_OPTIMIZATION_LEVEL = 5


@dataclass(frozen=True)
class BuildSettings(Settings):
    """How engines are built.

    Attributes:
        batches: Batch sizes to be fast at, in images; see `profiles`.
        det_sizes: Input sizes of the detector as "WIDTHxHEIGHT", in pixels; empty takes the default ones.
        frame_sizes: Sizes of whole frames as "WIDTHxHEIGHT", in pixels: for each there is a detector more
            that resizes them on the GPU.
        float_map: Whether the detector returns its map as the bundle's model does, in float32, in place of
            packed.
        workspace: Most device memory that one layer's kernel may work in, in MiB; None leaves it all.
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
    frame_sizes: tuple[str, ...] = ()
    float_map: bool = setting(False, "let the detector return its map in float32: four times the bytes")
    workspace: int | None = whole_setting(
        None, "most GPU memory that one layer may work in", low=16, high=1 << 20, metavar="MIB"
    )
    tf32: bool = setting(False, "let FP32 models compute in TF32")
    version_compatible: bool = setting(False, "for later TensorRT of this major version too")
    hardware_compatible: bool = setting(False, "for all desktop GPUs since Ampere; slower")
    dla: int | None = whole_setting(
        None, "run on a Jetson's DLA core; fp16, one shape", low=0, high=7, metavar="CORE"
    )
    optimization_level: int | None = whole_setting(
        None, "how long to look for fast kernels", low=0, high=MAX_OPTIMIZATION_LEVEL, metavar="0-5"
    )
    tactic_sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dla is not None and self.hardware_compatible:
            raise SettingError("--dla and --hardware-compatible: an engine for a DLA runs on its chip alone")
        if self.dla is not None and self.frame_sizes:
            raise SettingError("--dla and --frame-size: a DLA resizes no frames; leave --frame-size out")
        if self.dla is not None and (len(set(self.batches)) != 1 or len(self.det_sizes) != 1):
            raise SettingError(
                "--dla takes one fixed shape: give one --batch and one --det-size, "
                "such as --batch 1 --det-size 1120x640"
            )

    def flags(self) -> dict[str, Any]:
        """Returns what of this a manifest keeps; batches and sizes stand in its profiles."""
        kept = asdict(self)
        del kept["batches"], kept["det_sizes"], kept["frame_sizes"]
        kept["tactic_sources"] = sorted(self.tactic_sources)
        kept["format"] = FORMAT
        return kept


def known_names(values: Sequence[str], known: Sequence[str], option: str) -> tuple[str, ...]:
    """Checks names against those that there are, whatever their case.

    Returns:
        The names in upper case, each once.

    Raises:
        SettingError: A name is not known.
    """
    found = tuple(dict.fromkeys(value.upper() for value in values))
    for name in found:
        if name not in known:
            raise SettingError(f"{option} {name}: this TensorRT has {', '.join(known)}")
    return found
