"""The precisions that a bundle may hold, and what makes each of them of its FP32 models.

A further one is an entry here and the module that it names; the commands' choices, the bundle's reader, the
order in which engines are taken and the benchmarks go by this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_lpr.registry import Registry

__all__ = ["PRECISIONS", "REFERENCE", "Precision", "Target", "engine_precisions"]

Target = Literal["tensorrt", "cpu"]
"""What a precision is made for: TensorRT, whose rules ONNX Runtime reads too, or ONNX Runtime on a CPU."""

REFERENCE = "fp32"
"""What the others are made of and measured against."""


@dataclass(frozen=True)
class Precision:
    """One precision.

    Attributes:
        name: What options, files and `bundle.json` call it.
        rank: Its place in lists, the lowest first.
        engine_rank: Where nobody chose, engines of the lowest rank that are there are taken.
        maker: Module of the stage with `make(job, tick)`, imported only when it is asked for; "" for the
            reference.
        budget: Points of accuracy below the reference that it may lose to be called as good.
        tensorrt_types: TensorRT's builder flags that its types need where the network's own do not bind
            (8.6).
        target: What it is made for; no engines are built of one that is made for a CPU.
    """

    name: str
    rank: int
    engine_rank: int
    maker: str
    budget: float
    tensorrt_types: tuple[str, ...]
    target: Target = "tensorrt"


PRECISIONS: Registry[Precision] = Registry("precision")
PRECISIONS.register(Precision(REFERENCE, 0, 2, "", 0.0, ()))
# FP16 reads as FP32 does. INT8 is faster still and costs accuracy, which is for the user to choose; what of
# it stays in float is FP16.
PRECISIONS.register(Precision("fp16", 1, 0, "edge_lpr.calib.quantization.fp16", 0.1, ("FP16",)))
PRECISIONS.register(
    Precision("int8", 2, 1, "edge_lpr.calib.quantization.int8", 0.2, ("FP16", "INT8")),
)
# Its Q/DQ is that of ONNX Runtime's integer kernels, which is not what TensorRT wants.
PRECISIONS.register(Precision("int8-cpu", 3, 3, "edge_lpr.calib.quantization.cpu.int8", 0.2, (), "cpu"))


def engine_precisions() -> tuple[str, ...]:
    """Returns the precisions that engines are built of, in the order of lists."""
    return tuple(precision.name for precision in PRECISIONS if precision.target == "tensorrt")
