"""How fast the bundle's models for CPUs are here, beside FP32: what `--precision auto` goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_lpr.cli.doctor.check import Check
from edge_lpr.errors import EdgeLprError
from edge_lpr.types import PARTS

if TYPE_CHECKING:
    from edge_lpr.bundle.manifest import Bundle

__all__ = ["speed_checks"]


def speed_checks(bundle: Bundle, again: bool, threads: int | None) -> list[Check]:
    """What was measured of each network that the bundle has a model for CPUs of.

    Args:
        bundle: The bundle.
        again: Whether it is measured now.
        threads: Threads of one run; None is one per core.
    """
    from edge_lpr.backends.measured import candidate, known, measure
    from edge_lpr.backends.onnxruntime import cpu_opener

    checks = []
    for part, name in zip(PARTS, ("detector speed", "recognizer speed"), strict=True):
        if candidate(bundle, part) is None:
            if again:
                found = f"no INT8 for a CPU that keeps its accuracy in {bundle.name}"
                advice = f"edge-lpr calibrate {bundle.path} --target cpu --data DIR"
                checks.append(Check("models", name, "missing", found, advice))
            continue
        try:
            measured = measure(bundle, part, cpu_opener(threads), threads) if again else None
        except EdgeLprError as e:
            checks.append(Check("models", name, "broken", str(e)))
            continue
        speed = measured or known(bundle, part, threads)
        if speed is None:
            checks.append(Check("models", name, "missing", "not measured", "edge-lpr doctor --bench"))
            continue
        found = (
            f"{speed.precision} {speed.other:.2f} ms of CPU time, fp32 {speed.reference:.2f} ms: "
            f"{speed.gain:.2f} times as fast, auto takes {speed.precision if speed.is_faster else 'fp32'}"
        )
        checks.append(Check("models", name, "ok", found))
    return checks
