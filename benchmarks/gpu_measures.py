"""What `benchmarks/gpu.py` measures with, none of which needs to know what part of it asks."""

from __future__ import annotations

import json
import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.backends.base import Backend
from edge_lpr.backends.tensorrt.backend import MAX_CONCURRENCY, PREFERRED_BATCH, TensorRTBackend
from edge_lpr.backends.tensorrt.engine_manifest import EngineManifest
from edge_lpr.backends.wrapping import WrappedBackend
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.errors import BackendError
from edge_lpr.plates import PlateRead
from edge_lpr.types import Image

SHARE_TO_REACH = 0.95
# What a run may grow by and still count as steady: the allocator's own rounding.
STEADY_MIB = 16


def within_budget(
    reference: Mapping[str, float] | None, found: Mapping[str, float] | None, budget: float
) -> bool | None:
    """Tells whether no measure fell by more points than the budget; None without labelled images."""
    if reference is None or found is None:
        return None
    return all(found[name] >= value - budget - 1e-9 for name, value in reference.items())


def spoilers() -> dict[str, tuple[Callable[[dict[str, Any]], None], Callable[[bytes], bytes]]]:
    """Returns by name what is changed in a manifest, and in a plan."""

    def nothing(raw: dict[str, Any]) -> None:
        pass

    def same(plan: bytes) -> bytes:
        return plan

    def put(part: str, key: str, value: str) -> Callable[[dict[str, Any]], None]:
        return lambda raw: raw[part].__setitem__(key, value)

    return {
        "older model": (put("model", "sha256", "0" * 64), same),
        "foreign gpu": (put("machine", "gpu", "Another GPU"), same),
        "other tensorrt": (put("machine", "tensorrt", "9.9.9"), same),
        "cut short": (nothing, lambda plan: plan[: len(plan) // 2]),
        "swapped": (nothing, lambda plan: plan[::-1]),
    }


def refusal(
    good: EngineManifest,
    folder: Path,
    change: Callable[[dict[str, Any]], None],
    harm: Callable[[bytes], bytes],
    model: ModelFile,
) -> dict[str, Any]:
    """Writes a spoiled copy of an engine and tries to open it.

    Returns:
        Whether it was refused, and the message.
    """
    raw = good.to_json()
    change(raw)
    (folder / good.engine_path.name).write_bytes(harm(good.engine_path.read_bytes()))
    (folder / good.path.name).write_text(json.dumps(raw), encoding="utf-8")
    try:
        TensorRTBackend(model, folder=folder).close()
    except BackendError as e:
        return {"refused": True, "message": str(e)}
    return {"refused": False, "message": ""}


def compare_reads(
    expected: Sequence[Sequence[PlateRead]], found: Sequence[Sequence[PlateRead]]
) -> dict[str, Any]:
    """Compares readings of the same images.

    Returns:
        Counts of images with the same texts, of plates, and how far corners lie apart, in pixels.
    """
    same_texts = 0
    distances: list[float] = []
    differing = []
    for number, (one, other) in enumerate(zip(expected, found, strict=True)):
        texts = [[read.text for read in reads] for reads in (one, other)]
        if texts[0] == texts[1]:
            same_texts += 1
            distances += [float(np.abs(a.corners - b.corners).max()) for a, b in zip(one, other, strict=True)]
        else:
            differing.append({"image": number, "reference": texts[0], "found": texts[1]})
    return {
        "images": len(expected),
        "same_texts": same_texts,
        "plates": sum(map(len, found)),
        "largest_corner_distance_px": round(max(distances, default=0.0), 3),
        "identical_boxes": sum(d == 0 for d in distances),
        "differing": differing[:20],
    }


def together(dets: Sequence[float | None], rec: float, crops: float) -> float | None:
    """Returns the frames per second that two networks make one after the other.

    Args:
        dets: For each image, images per second of the detector at the size that it is read at; None where
            that was not measured.
        rec: Images per second of the recognizer; 0 where that was not measured.
        crops: Crops that the recognizer gets per frame.

    Returns:
        1 / (mean of 1/det + crops/rec); None where something was not measured.
    """
    known = [det for det in dets if det]
    if not rec or not known or len(known) != len(dets):
        return None
    return 1 / (statistics.mean(1 / det for det in known) + crops / rec)


def against_engines(
    engines: float | None, copied: float | None, rates: Mapping[str, float], crops: float
) -> dict[str, Any]:
    """Sets frames per second of the pipeline against the engines alone.

    Args:
        engines: Frames per second of the engines on what lies on the device; None where not measured.
        copied: The same with copies there and back, several in flight.
        rates: Frames per second of the pipeline, by number of batches at work.
        crops: Crops that the recognizer gets per frame.

    Returns:
        The three rates, and the pipeline's best as a share of the engines'; the goal is `SHARE_TO_REACH`.
    """
    best = max(rates.values())
    return {
        "frames_per_second_by_batches_at_work": dict(rates),
        "crops_per_frame": round(crops, 2),
        "engines_alone": engines and round(engines, 1),
        "engines_with_copies": copied and round(copied, 1),
        "pipeline": round(best, 1),
        "share_of_engines_alone": engines and round(best / engines, 3),
        "share_of_engines_with_copies": copied and round(best / copied, 3),
        "reached": None if engines is None else best / engines >= SHARE_TO_REACH,
    }


class CountingBackend(WrappedBackend):
    """A backend that counts the images that go through another one.

    Attributes:
        images: How many there were.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.images = 0

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Runs the other one; see `Backend.run`."""
        self.images += sum(len(array) for array in inputs.values())
        return super().run(inputs)


class ReplayBackend(WrappedBackend):
    """A backend that returns for each image again what another one once returned for it, in no time.

    Images are told apart by some of their pixels. What is left of a pipeline's time around it is the host's.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.name = self.device = "replay"
        self.max_batch = None
        self.preferred_batch, self.concurrency = PREFERRED_BATCH, MAX_CONCURRENCY
        self._known: dict[bytes, dict[str, NDArray[Any]]] = {}

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Replays; an image that is not known yet is run by the other backend, by itself."""
        ((name, images),) = inputs.items()
        rows = []
        for image in images:
            key = image[::7, ::13].tobytes()
            if key not in self._known:
                found = super().run({name: np.ascontiguousarray(image[None])})
                self._known[key] = {output: value[0] for output, value in found.items()}
            rows.append(self._known[key])
        return {output: np.stack([row[output] for row in rows]) for output in rows[0]}


def in_flight(backend: TensorRTBackend, inputs: Mapping[str, Image], seconds: float) -> float:
    """Returns runs per second with as many in flight as the backend has room for."""
    slots = backend.reserve()
    pending = deque(backend.submit(inputs) for _ in range(slots))
    for _ in range(10 * slots):  # every slot has set itself up and captured its graph
        pending.popleft().result()
        pending.append(backend.submit(inputs))
    began = time.perf_counter()
    runs = 0
    while time.perf_counter() - began < seconds:
        pending.popleft().result()
        pending.append(backend.submit(inputs))
        runs += 1
    elapsed = time.perf_counter() - began
    while pending:
        pending.popleft().result()
    return runs / elapsed


def latency(backend: Backend, inputs: Mapping[str, Image], seconds: float) -> dict[str, float]:
    """Returns how long one run takes by itself, copies included, in milliseconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        began = time.perf_counter()
        backend.run(inputs)
        times.append(1e3 * (time.perf_counter() - began))
    ordered = sorted(times)
    return {
        "latency_ms_p50": round(statistics.median(ordered), 3),
        "latency_ms_p99": round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 3),
    }


def resident(backend: TensorRTBackend, shape: tuple[int, ...], seconds: float) -> float:
    """Returns milliseconds of one run by the device's clock, measured for about so many seconds."""
    guess = backend.time_resident(shape, 10)
    return backend.time_resident(shape, max(10, int(1e3 * seconds / max(guess, 1e-3))))


def slowest_layers(times: Mapping[str, float], most: int = 20) -> list[dict[str, Any]]:
    """Returns the layers that take most of a run: name, milliseconds, and share of all layers' time."""
    total = sum(times.values()) or 1.0
    order = sorted(times.items(), key=lambda item: -item[1])[:most]
    return [{"layer": n, "ms": round(ms, 4), "share": round(ms / total, 4)} for n, ms in order]


def growth(marks: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Says whether memory was steady from the first mark to the last; the first frames may still set up."""
    if len(marks) < 2:
        return {"steady": None, "device_growth_mib": None, "process_growth_mib": None}
    device = marks[-1]["device_mib"] - marks[0]["device_mib"]
    process = marks[-1]["process_mib"] - marks[0]["process_mib"]
    return {
        "steady": max(device, process) <= STEADY_MIB,
        "device_growth_mib": round(device, 1),
        "process_growth_mib": round(process, 1),
    }
