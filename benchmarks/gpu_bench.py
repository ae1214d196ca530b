"""What the parts of `benchmarks/gpu.py` share: models, engines, images, and what earlier parts found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_lpr.backends import Backend, Models, open_models
from edge_lpr.bundle.manifest import Bundle
from edge_lpr.datasets.labels import Sample
from edge_lpr.engines.build_settings import BuildSettings
from edge_lpr.engines.profiles import det_sizes
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.plates import PlateRead
from edge_lpr.types import Image, Size

__all__ = ["Bench"]

# Of `Bench`: what a part in another process finds, and those after it need.
_SHARED = ("deadline", "reference", "accuracy", "speeds", "engine_speeds")


@dataclass
class Bench:
    """What the parts share.

    Attributes:
        bundle: The bundle.
        folder: Where the engines lie.
        precisions: Which are measured.
        settings: How engines are built.
        images: Decoded images, uint8 H×W×3 BGR.
        samples: Labelled images, for accuracy; may be empty.
        seconds: How long one measurement of speed takes, in seconds.
        deadline: `time.monotonic()` at which the whole has to be done.
        reference: What ONNX Runtime in FP32 read, once `reference` has run.
        accuracy: What ONNX Runtime in FP32 reached on the labelled images, once `reference` has run.
        device: Number of the GPU; None is the first.
        frames: Frames that are read while memory is watched.
        workers: Batches at work at once that the pipeline is tried with.
        raw: Where TensorRT's own words about each engine are kept; None keeps none.
        speeds: Images per second of an engine, copies included, by (model, precision, input size), at its
            best batch, once `throughput` has run.
        engine_speeds: The same of what lies on the device, by its clock.
    """

    bundle: Bundle
    folder: Path
    precisions: Sequence[str]
    settings: BuildSettings
    images: Sequence[Image]
    samples: Sequence[Sample]
    seconds: float
    deadline: float
    reference: list[list[PlateRead]] = field(default_factory=list)
    accuracy: dict[str, float] | None = None
    device: int | None = None
    frames: int = 10_000
    workers: Sequence[int] = (1, 2, 4, 8)
    raw: Path | None = None
    speeds: dict[tuple[str, str, Size], float] = field(default_factory=dict)
    engine_speeds: dict[tuple[str, str, Size], float] = field(default_factory=dict)

    def share(self) -> dict[str, Any]:
        """Returns what parts in other processes need of this one; `take` takes it."""
        return {name: getattr(self, name) for name in _SHARED}

    def take(self, values: Mapping[str, Any]) -> None:
        """Takes what a part in another process found."""
        for name in _SHARED:
            if name in values:
                setattr(self, name, values[name])

    def sizes(self) -> tuple[Size, ...]:
        """The detector's input sizes that the engines have."""
        return det_sizes(self.bundle.det, self.settings.det_sizes)

    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def reader(
        self, backend: str, precision: str, wrap: Callable[[Backend], Backend] = lambda model: model
    ) -> PlateReader:
        """Opens a reader whose detector uses the engines' input sizes, whichever backend runs.

        Args:
            backend: "onnxruntime" or "tensorrt".
            precision: Which of the bundle's models.
            wrap: What is put around each opened model.
        """
        options: dict[str, Any] = {"engines": self.folder} if backend == "tensorrt" else {}
        if backend == "tensorrt" and self.device is not None:
            options["device"] = self.device
        opened = open_models(self.bundle, backend=backend, precision=precision, options=options)
        opened.det.sizes = self.sizes()
        models = Models(wrap(opened.det), wrap(opened.rec), opened.why)
        return PlateReader(self.bundle.path, models=models)
