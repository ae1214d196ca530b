"""Whether a bundle computes what Paddle computes: the same numbers, the same boxes, the same texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend, open_session
from edge_lpr.counting import counted
from edge_lpr.errors import BackendError, ModelError
from edge_lpr.pipeline.ctc import greedy
from edge_lpr.pipeline.db_postprocess import db_boxes
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.types import FloatMap, Image, Probs

__all__ = [
    "Comparison",
    "Runner",
    "compare_boxes",
    "compare_texts",
    "cut_reference",
    "normalised",
]

Floats = NDArray[np.float32]
"""A batch that PaddleOCR's networks take, or what a network returns."""

LEAST_BOUND = 1e-4
"""Differences up to here are not looked at closer."""
_OWN_ROUNDINGS = 4.0
"""How many times its own rounding a graph may be off: Paddle's comes on top, and is no smaller."""
_HIGHEST = 10.0
"""How many bounds it may be off at most, however it rounds."""
_SAME_CORNER = 2.0
"""Pixels of the map. A pixel whose probability is 1e-5 from the threshold may fall on either side of it, and
moves a box's edge by one; rounding to whole pixels adds one more."""


@dataclass
class Comparison:
    """What one graph's output has from Paddle's.

    Attributes:
        stage: "raw" as converted, "folded" as the bundle has it, "cut" with a head cut to a charset.
        maximum: Largest difference of a probability.
        mean: Mean difference.
        rounding: How far the same graph, computed in another order, is off from itself, at most, where it was
            further off from Paddle than `LEAST_BOUND`.
        compared: Boxes, or texts of at least one character, that Paddle's output gives.
        differing: Those that differ, in words.
    """

    stage: str
    maximum: float = 0.0
    mean: float = 0.0
    rounding: float = 0.0
    compared: int = 0
    differing: list[str] = field(default_factory=list)
    _values: int = 0
    _largest: list[tuple[str, float, float]] = field(default_factory=list)

    def add(
        self,
        found: Floats,
        wanted: Floats,
        rounding: Callable[[], float] = lambda: 0.0,
        names: Sequence[str] = (),
    ) -> None:
        """Adds one output.

        Args:
            found: What the graph returned.
            wanted: What Paddle returned, of the same shape.
            rounding: Measures how far the graph is off from itself on this input, see `Runner.rounding`.
            names: What the inputs are called: of one image its name, of a batch each one's.

        Raises:
            ModelError: The shapes differ.
        """
        if found.shape != wanted.shape:
            raise ModelError(f"the {self.stage} graph returns shape {found.shape}, Paddle {wanted.shape}")
        difference = np.abs(found.astype(np.float64) - wanted)
        if not np.isfinite(difference).all():
            self.maximum = float("inf")
            return
        largest = float(difference.max(initial=0.0))
        self.maximum = max(self.maximum, largest)
        if largest > LEAST_BOUND:
            own = rounding()
            self.rounding = max(self.rounding, own)
        else:
            own = 0.0
        furthest = int(difference.reshape(len(names), -1).max(axis=1).argmax()) if len(names) > 1 else 0
        self._largest.append((names[furthest] if names else self.stage, largest, own))
        total = self._values + difference.size
        self.mean = (self.mean * self._values + float(difference.sum())) / max(total, 1)
        self._values = total

    def passed(self, bound: float) -> bool:
        """Tells whether the difference is within a bound and no box or text differs.

        An input on which the graph's own rounding moves a probability may be further off: four times as much,
        ten bounds at most. Trained networks have such inputs, where a change of the input's last bit is
        amplified a thousand times, and Paddle's own output is no closer to the exact one.
        """
        if self.differing or not np.isfinite(self.maximum):
            return False
        return not self.beyond(bound)

    def beyond(self, bound: float) -> list[str]:
        """Returns the inputs on which a probability is further off than is accepted, with by how much."""
        found = []
        for name, largest, own in self._largest:
            accepted = max(bound, min(_OWN_ROUNDINGS * own, _HIGHEST * bound))
            if largest > accepted:
                rounds = f", the graph's own rounding there is {own:.1e}" if own else ""
                found.append(f"{name}: {largest:.1e} off, at most {accepted:.1e} is accepted{rounds}")
        return found

    def as_json(self, bound: float) -> dict[str, Any]:
        """Returns the values for a report; an endless difference, which JSON cannot hold, becomes text."""
        maximum: float | str = self.maximum if np.isfinite(self.maximum) else "not a number"
        beyond = self.beyond(bound)
        return {
            "maximum": maximum,
            "mean": self.mean,
            "rounding": self.rounding,
            "compared": self.compared,
            "differing": self.differing,
            **({"beyond": beyond} if beyond else {}),
        }


class Runner:
    """An ONNX model in ONNX Runtime on the CPU.

    Args:
        model: The ONNX file's bytes.
    """

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._backend = OnnxRuntimeBackend(model, device="cpu")

    def __call__(self, value: NDArray[Any]) -> Floats:
        """Runs the model on one input and returns its one output."""
        (result,) = self.all(value)
        return result

    def all(self, value: NDArray[Any]) -> list[Floats]:
        """Runs the model on one input and returns all of its outputs."""
        try:
            return list(self._backend.run({self._backend.input_name: value}).values())
        except BackendError as e:
            raise ModelError(f"the converted model does not run on shape {value.shape}: {e}") from e

    def rounding(self, value: NDArray[Any], found: Floats) -> float:
        """Measures how far the model is off from itself where ONNX Runtime changes nothing of its graph.

        Args:
            value: An input.
            found: What the model returned for it.

        Returns:
            The largest difference: the two take other kernels, so that sums are rounded in another order.
        """
        session = open_session(self._model, optimized=False)
        (again,) = session.run(None, {self._backend.input_name: value})
        return float(np.abs(again.astype(np.float64) - found).max(initial=0.0))


def normalised(batch: Image, mean: Sequence[float], std: Sequence[float]) -> Floats:
    """Returns what PaddleOCR gives its networks.

    Args:
        batch: uint8 N×H×W×3 BGR.
        mean: What is subtracted from B, G and R, in grey levels.
        std: What the difference is divided by, in grey levels.

    Returns:
        float32 N×3×H×W.
    """
    scaled = batch.astype(np.float32) / np.float32(255)
    centred = scaled - np.asarray(mean, np.float32) / np.float32(255)
    result = centred / (np.asarray(std, np.float32) / np.float32(255))
    return np.ascontiguousarray(result.transpose(0, 3, 1, 2), np.float32)


def compare_boxes(
    comparison: Comparison, found: FloatMap, wanted: FloatMap, settings: DetectorSettings, name: str
) -> list[NDArray[np.int32]]:
    """Compares the boxes that two probability maps give.

    Args:
        comparison: Where the result is added.
        found: float32 H×W of the graph.
        wanted: float32 H×W of Paddle.
        settings: Post-processing parameters.
        name: What the image is called.

    Returns:
        The boxes of Paddle's map, int32 4×2 each.
    """
    ours, theirs = (
        np.array([box.rectangle for box in db_boxes(prob, settings, prob.shape)]).reshape(-1, 4, 2)
        for prob in (found, wanted)
    )
    comparison.compared += len(theirs)
    if len(ours) != len(theirs):
        comparison.differing.append(f"{name}: {counted(len(ours), 'boxes', 'box')}, Paddle has {len(theirs)}")
    else:
        for box in theirs:
            nearest = np.abs(ours - box).max(axis=(1, 2)).min()
            if nearest > _SAME_CORNER:
                comparison.differing.append(
                    f"{name}: no box at {box.tolist()}, the nearest is {nearest} px off"
                )
    return list(theirs)


def compare_texts(
    comparison: Comparison,
    found: Probs,
    wanted: Probs,
    charset: Sequence[str],
    unknown_class: bool,
    name: str,
) -> None:
    """Compares the texts that two posteriors give when they are decoded greedily.

    Args:
        comparison: Where the result is added.
        found: float32 T×C of the graph.
        wanted: float32 T×C of Paddle.
        charset: Class i is `charset[i - 1]`.
        unknown_class: Whether one more class stands for all other characters.
        name: What the crop is called.
    """
    ours, _ = greedy(found, charset, unknown_class)
    theirs, _ = greedy(wanted, charset, unknown_class)
    comparison.compared += bool(theirs)
    if ours != theirs:
        comparison.differing.append(f"{name}: {ours!r}, Paddle reads {theirs!r}")


def cut_reference(probs: Floats, keep: Sequence[int]) -> Floats:
    """Cuts Paddle's posterior as the bundle's head is cut.

    Args:
        probs: float32 N×T×C.
        keep: Classes to keep, in their new order.

    Returns:
        float32 N×T×(len(keep) + 1); the last class has the sum of those that were dropped.
    """
    dropped = np.ones(probs.shape[-1], bool)
    dropped[list(keep)] = False
    rest = probs[..., dropped].sum(axis=-1, keepdims=True, dtype=np.float64)
    return np.concatenate([probs[..., list(keep)], rest.astype(np.float32)], axis=-1)
