"""How to calibrate: what the command's options and the Python call share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_lpr.errors import SettingError
from edge_lpr.precisions import PRECISIONS, Target
from edge_lpr.settings import Settings, setting
from edge_lpr.types import PARTS, Part

__all__ = ["CalibrationOptions", "makeable", "wanted"]


def makeable(target: Target | None = None) -> tuple[str, ...]:
    """Returns the names of the precisions that calibration makes, for one target or for all."""
    return tuple(p.name for p in PRECISIONS if p.maker and target in (None, p.target))


def wanted(target: Target | None, names: Sequence[str]) -> tuple[str, ...]:
    """Returns what is to be made where a target was named, or precisions, or neither: all for TensorRT then.

    Raises:
        SettingError: A precision is made for another target.
    """
    for name in names:
        if target is not None and name not in makeable(target):
            raise SettingError(
                f"--target {target}: makes {' and '.join(makeable(target))}, and --precision says {name}; "
                "leave one out"
            )
    return tuple(dict.fromkeys(names)) or makeable(target or "tensorrt")


@dataclass(frozen=True)
class CalibrationOptions(Settings):
    """How to calibrate.

    Attributes:
        precisions: What to make, by name (`edge_lpr.precisions`).
        parts: Of which networks; the other one keeps what it has.
        budget: Accuracy that INT8 may lose, in percentage points, 0 to 100.
        float_budget: Share of the multiply-adds, on a CPU of the values that layers make, that INT8 may leave
            in float though accuracy does not need it, in per cent, 0 to 100; None is what suits each part.
        images: Scenes to calibrate the detector on; the recognizer takes what is cut out of them, and up to
            twice as many labelled crops.
        validation: At most so many scenes, and four times as many plates, measure the accuracy.
        seed: Of the choice of images.
        force: Whether a precision that the bundle holds is replaced though too few plates judge the new one,
            or though it reads them worse.
        cache: Folder that remembers what was measured; None remembers nothing.

    Raises:
        SettingError: A value is out of its range, or calibration makes no such precision.
    """

    precisions: tuple[str, ...] = field(default_factory=lambda: makeable("tensorrt"))
    parts: tuple[Part, ...] = PARTS
    budget: float = setting(
        PRECISIONS["int8"].budget,
        "accuracy that INT8 may lose, in percentage points",
        low=0,
        high=100,
        metavar="POINTS",
    )
    float_budget: float | None = setting(
        None,
        "share of the multiply-adds, on a CPU of the values that layers make, that INT8 may leave in float, "
        "the most sensitive layers first, to come closer to FP32 than --budget asks for (default: 9 for the "
        "detector, 4.5 for the recognizer; on a CPU 0)",
        low=0,
        high=100,
        metavar="PERCENT",
    )
    images: int = setting(96, "scenes to calibrate on, at most", low=1, high=1000)
    validation: int = setting(200, "scenes to measure the accuracy on, at most", low=1, high=100_000)
    seed: int = setting(0, "seed of the choice of images")
    force: bool = setting(
        False, "replace a precision of the bundle even by one that too few plates judge, or that reads worse"
    )
    cache: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.precisions:
            if name not in makeable():
                raise SettingError(f"precision {name!r}: calibration makes {', '.join(makeable())}")

    def float_share(self, usual: float) -> float:
        """Returns what share of the multiply-adds INT8 may leave in float, 0 to 1.

        Args:
            usual: What suits the part, in per cent, where no `float_budget` was given.
        """
        return (usual if self.float_budget is None else self.float_budget) / 100
