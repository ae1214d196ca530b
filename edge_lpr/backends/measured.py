"""Which precision of a network is the fastest on this CPU: measured once, in pairs, and remembered.

INT8 is no faster by itself: that depends on the CPU's instructions, on ONNX Runtime and on the threads. So
what a bundle has for CPUs is run beside FP32 once, a second or two, and taken where it was faster and where
its accuracy kept the budget that `bundle.json` writes of it. The figures lie in the user's cache, under what
they depend on; `edge-lpr doctor --bench` shows them, and measures again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_lpr.backends.base import Backend
from edge_lpr.bundle.manifest import Bundle
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.environment import cache_folder, cores, machine, versions
from edge_lpr.errors import EdgeLprError, InputError, OutputError
from edge_lpr.io.atomic_io import write_json
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.plain_data import parse_json
from edge_lpr.precisions import PRECISIONS, REFERENCE
from edge_lpr.types import Batch, Part

__all__ = ["Speed", "candidate", "fastest", "known", "measure", "remember"]

Opener = Callable[[ModelFile], Backend]

GAIN = 1.05
"""How many times as fast as FP32 another precision has to be: what differs by less is chance."""
# Pairs of runs: at most so many, and at least some of them within so many seconds.
_PAIRS, _LEAST, _SECONDS = 9, 3, 2.0
_MAX_BYTES = 1 << 16


@dataclass(frozen=True)
class Speed:
    """What was measured of one network.

    Attributes:
        precision: What was set against FP32.
        reference: CPU time of FP32, in milliseconds a run, the least of all runs.
        other: That of the precision.
    """

    precision: str
    reference: float
    other: float

    @property
    def gain(self) -> float:
        """How many times as fast as FP32 it is."""
        return self.reference / self.other

    @property
    def is_faster(self) -> bool:
        """Whether it is faster by more than chance."""
        return self.gain >= GAIN


def candidate(bundle: Bundle, part: Part) -> ModelFile | None:
    """Returns a network's model for CPUs, where its accuracy was measured to keep its budget."""
    models = bundle.files()[part]
    for precision in PRECISIONS:
        model = models.get(precision.name)
        if precision.target == "cpu" and model is not None and REFERENCE in models:
            budget = model.extra.get("budget")
            return model if isinstance(budget, dict) and budget.get("kept") is True else None
    return None


def fastest(bundle: Bundle, part: Part, opener: Opener, threads: int | None) -> tuple[str, Speed | None]:
    """Chooses a network's precision on this CPU; measures where nothing is known yet.

    Returns:
        The precision, and what was measured; None where the bundle has nothing to choose from, or where it
        cannot be measured.
    """
    if candidate(bundle, part) is None:
        return REFERENCE, None
    speed = known(bundle, part, threads)
    if speed is None:
        try:
            speed = measure(bundle, part, opener, threads)
        except EdgeLprError:
            return REFERENCE, None  # what is wrong with FP32's model is said where that is opened
    return (speed.precision if speed.is_faster else REFERENCE), speed


def known(bundle: Bundle, part: Part, threads: int | None) -> Speed | None:
    """Returns what was measured of a network on this machine; None where nothing was."""
    model = candidate(bundle, part)
    if model is None:
        return None
    try:
        data = read_bounded(_path(bundle, part, threads), _MAX_BYTES, "measured speeds", InputError)
        stored = parse_json(data, "measured speeds", InputError)
        reference, other = float(stored[REFERENCE]), float(stored[model.precision])
    except (InputError, ValueError, TypeError, KeyError):
        return None  # never measured; a damaged file is as good as none
    return Speed(model.precision, reference, other) if min(reference, other) > 0 else None


def measure(bundle: Bundle, part: Part, opener: Opener, threads: int | None) -> Speed:
    """Runs FP32 and what the bundle has for CPUs in turns, and remembers how long they took.

    Args:
        bundle: A bundle that has a `candidate` of the network.
        part: The network.
        opener: Opens one file on the CPU.
        threads: Threads of one run, as `opener` sets them; None is one per core.

    Raises:
        EdgeLprError: One of them cannot be read, opened or run.
    """
    model = candidate(bundle, part)
    assert model is not None
    with ExitStack() as stack:
        pair = [stack.enter_context(closing(opener(file))) for file in (bundle.model(part, REFERENCE), model)]
        reference, other = _least(pair, {_input_name(bundle, part): _batch(bundle, part)})
    speed = Speed(model.precision, 1000 * reference, 1000 * other)
    remember(bundle, part, threads, speed)
    return speed


def remember(bundle: Bundle, part: Part, threads: int | None, speed: Speed) -> None:
    """Writes what was measured into the user's cache; where that cannot be written, it is measured again."""
    path = _path(bundle, part, threads)
    with suppress(OSError, OutputError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {REFERENCE: speed.reference, speed.precision: speed.other})


def _least(pair: list[Backend], inputs: dict[str, Batch]) -> Iterator[float]:
    """Returns the least CPU time of a run of each, in seconds: other work on the machine only adds to it."""
    for backend in pair:
        backend.run(inputs)
    taken: list[list[float]] = [[] for _ in pair]
    end = time.monotonic() + _SECONDS
    while len(taken[0]) < _PAIRS and (len(taken[0]) < _LEAST or time.monotonic() < end):
        for backend, times in zip(pair, taken, strict=True):
            began = time.process_time()
            backend.run(inputs)
            times.append(max(time.process_time() - began, 1e-9))
    return map(min, taken)


def _input_name(bundle: Bundle, part: Part) -> str:
    return bundle.det.input_name if part == "det" else bundle.rec.input_name


def _batch(bundle: Bundle, part: Part) -> Batch:
    """Makes an input of the size that is the commonest: a landscape of 4:3, or one plate."""
    if part == "det":
        stride, side = bundle.det.stride, bundle.det.limit_side_len
        height = -(-side // stride) * stride
        shape = (1, height, -(-side * 4 // (3 * stride)) * stride, 3)
    else:
        shape = (1, bundle.rec.height, bundle.rec.widths[0], 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _path(bundle: Bundle, part: Part, threads: int | None) -> Path:
    model = candidate(bundle, part)
    assert model is not None
    depends = [
        bundle.model(part, REFERENCE).sha256,
        model.sha256,
        str(versions("onnxruntime", "onnxruntime-gpu")),
        str(machine()["cpu"]),
        str(threads or cores()),
        str(_batch(bundle, part).shape),
    ]
    return cache_folder("speed") / f"{hashlib.sha256('|'.join(depends).encode()).hexdigest()[:32]}.json"
