"""What a precision's maker works on: one network, with what to calibrate and to measure it on.

A maker is a module that `edge_lpr.precisions` names, with one function::

    def make(job: Job, tick: Tick) -> tuple[onnx.ModelProto, dict[str, Any]]: ...

It returns the model, which takes and returns what the FP32 one does, and what `bundle.json` is to say of it:
at least `accuracy`, as `Job.measured` words it. It calls `tick` as it runs batches by itself; what the
objective and the cache do counts on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import onnx

from edge_lpr.calib.quantization.cache import Cache
from edge_lpr.calib.quantization.calibration_data import CalibrationData
from edge_lpr.calib.quantization.objectives import Objective
from edge_lpr.calib.quantization.options import CalibrationOptions
from edge_lpr.precisions import REFERENCE
from edge_lpr.types import Batch, Part, Tick

__all__ = ["Job", "Maker"]


@dataclass(frozen=True)
class Job:
    """One network on its way to another precision.

    Attributes:
        part: Which of the two it is.
        model: The FP32 model, every node named.
        inputs: What it is calibrated on, uint8 N×H×W×3 BGR each.
        objective: What it is for: accuracy, and distance from FP32.
        cache: Figures measured before, by keys that the maker chooses.
        options: How to calibrate.
        report: Called with a line for each finding.
        data: The images of the calibration.
    """

    part: Part
    model: onnx.ModelProto
    inputs: Sequence[Batch]
    objective: Objective
    cache: Cache
    options: CalibrationOptions
    report: Callable[[str], None]
    data: CalibrationData

    def reference(self) -> float:
        """Returns the accuracy of FP32, 0 to 1."""
        return self.accuracy(REFERENCE, self.model)

    def accuracy(self, key: str, model: onnx.ModelProto) -> float:
        """Returns the accuracy of a model, 0 to 1, remembered under a key of its own."""
        return self.cache.get(key, lambda: self.objective.accuracy(model))

    def measured(self, precision: str, accuracy: float) -> dict[str, Any]:
        """Words an accuracy for `bundle.json`, beside that of FP32 and with what it was measured on.

        Args:
            precision: Of the model that was measured.
            accuracy: Its accuracy, 0 to 1.
        """
        count, unit = (
            (len(self.data.validation), "scenes") if self.part == "det" else (len(self.data.plates), "plates")
        )
        return {
            "metric": self.objective.metric,
            REFERENCE: round(self.reference(), 6),
            precision: round(accuracy, 6),
            unit: count,
            "truth": "labels" if self.data.labelled else "fp32's own readings",
        }

    def warn(self, message: str) -> None:
        """Reports what the user should look into, and keeps it for the end."""
        self.data.warnings.append(message)
        self.report(f"warning: {message}")


class Maker(Protocol):
    """The module of a precision."""

    def make(self, job: Job, tick: Tick) -> tuple[onnx.ModelProto, dict[str, Any]]:
        """Makes the model of one part; see this module's docstring.

        Raises:
            ModelError: The network cannot be made in this precision.
        """
        ...
