"""What a version of TensorRT can do, asked of its module (has this enum that member?), not of its number."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from edge_lpr.precisions import PRECISIONS

__all__ = ["Features", "features"]


@dataclass(frozen=True)
class Features:
    """What one TensorRT version can do.

    Attributes:
        network_flags: Flags of `create_network` for a network whose types the ONNX decides as far as the
            version can: STRONGLY_TYPED on 10, EXPLICIT_BATCH on 8.6, none on 11, which has no other networks.
        weak_flags: The flags for a network whose types `type_flags` decide; None where there is none such.
        strongly_typed: Whether `network_flags` makes the types of the ONNX binding.
        type_flags: Those flags of BuilderFlag that there are of the ones that this kit's precisions need.
        int8_weights: Whether a weight may be an INT8 constant, and that of a transposed convolution have a
            scale per output channel; see `edge_lpr.engines.qdq_trt8`.
        share_profiles: Whether several execution contexts may use one profile only once a preview feature
            is switched on (8.6; always on later).
        progress: Whether builds report to a progress monitor.
        user_managed: Whether a context without memory of its own is asked for by allocation strategy.
    """

    network_flags: int
    weak_flags: int | None
    strongly_typed: bool
    type_flags: tuple[str, ...]
    int8_weights: bool
    share_profiles: bool
    progress: bool
    user_managed: bool


def features(module: ModuleType) -> Features:
    """Reads off a `tensorrt` module what it can do.

    Args:
        module: The imported module.
    """
    creation = module.NetworkDefinitionCreationFlag
    explicit = _bit(creation, "EXPLICIT_BATCH")
    strong = _bit(creation, "STRONGLY_TYPED")
    wanted = dict.fromkeys(name for precision in PRECISIONS for name in precision.tensorrt_types)
    type_flags = tuple(name for name in wanted if hasattr(module.BuilderFlag, name))
    return Features(
        # Where the type flags are gone, all networks are strongly typed and the flag is deprecated.
        network_flags=(strong or explicit) if type_flags else 0,
        weak_flags=explicit if type_flags else None,
        strongly_typed=bool(strong) or not type_flags,
        type_flags=type_flags,
        # Came with 10, as strongly typed networks did.
        int8_weights=bool(strong) or not type_flags,
        share_profiles=not strong and hasattr(module.PreviewFeature, "PROFILE_SHARING_0806"),
        progress=hasattr(module, "IProgressMonitor"),
        user_managed=hasattr(module, "ExecutionContextAllocationStrategy"),
    )


def _bit(enum: object, name: str) -> int:
    return 1 << int(getattr(enum, name)) if hasattr(enum, name) else 0
