"""PaddleOCR's `MultiScaleSampler`: batches of a recognizer's training in several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from edge_lpr.finetune.recipe.node import Node

__all__ = ["MAX_SIDE", "MultiScale", "Scale", "places", "read_sampler", "side"]

MAX_SIDE = 4096


@dataclass(frozen=True)
class Scale:
    """The size of a batch.

    Attributes:
        width: Of the input, in pixels.
        height: Of it.
        batch: How many lines.
    """

    width: int
    height: int
    batch: int


@dataclass(frozen=True)
class MultiScale:
    """The sizes of a training, which take turns.

    Attributes:
        scales: In the config's order.
    """

    scales: tuple[Scale, ...]

    def sizes(self, lines: int) -> list[Scale]:
        """Returns the sizes of an epoch's batches, before they are put in random order.

        They take turns until all lines are shown, and to the end of the turn.

        Args:
            lines: How many there are.
        """
        found: list[Scale] = []
        shown = 0
        while shown < lines:
            for scale in self.scales:
                found.append(replace(scale, batch=len(_places(shown, scale.batch, lines))))
                shown += scale.batch
        return found


def places(sizes: Sequence[Scale], lines: int) -> list[list[int]]:
    """Returns which lines each of an epoch's batches shows: one after the other, in the end the first ones.

    Args:
        sizes: Of the batches.
        lines: How many there are.

    Returns:
        The lines' places, from 0.
    """
    starts = accumulate((scale.batch for scale in sizes), initial=0)
    return [_places(start, scale.batch, lines) for start, scale in zip(starts, sizes, strict=False)]


def _places(start: int, batch: int, lines: int) -> list[int]:
    own = list(range(start, min(start + batch, lines)))
    return own + list(range(min(batch - len(own), lines)))


def read_sampler(node: Node) -> MultiScale:
    """Reads the section `Train.sampler`.

    Raises:
        SettingError: It is another sampler, or a value is not supported.
    """
    node.only("name", "MultiScaleSampler", "not supported; set Train.sampler to null")
    given = node.raw("scales", [])
    sizes = [[one, one] if isinstance(one, int) else one for one in given] if isinstance(given, list) else []
    if not sizes or not all(isinstance(one, list) and len(one) == 2 for one in sizes):
        node.refuse("scales", given, "expected a list of sizes, each [width, height] in pixels")
    first = node.whole("first_bs", 128, low=1, high=MAX_SIDE)
    fixed = node.flag("fix_bs", True)
    across, down = (round(factor) for factor in node.numbers("divided_factor", [8, 16], 2))
    if min(across, down) < 1:
        node.refuse("divided_factor", [across, down], "expected two numbers of pixels from 1")
    whole = [(side(node, "scales", w), side(node, "scales", h)) for w, h in sizes]
    pixels = whole[0][0] * whole[0][1] * first
    if not node.flag("is_training", True):
        whole, across, down = whole[:1], 1, 1
    node.idle("ratio_wh", "max_w", "seed")
    node.close()
    scales = []
    for width, height in ((w // across * across, h // down * down) for w, h in whole):
        if not width * height:
            node.refuse("scales", given, f"expected sides from divided_factor, {across} and {down}")
        scales.append(Scale(width, height, first if fixed else max(1, pixels // (width * height))))
    return MultiScale(tuple(scales))


def side(node: Node, name: str, value: object) -> int:
    """Returns one side of a size.

    Raises:
        SettingError: It is no number of pixels, or too many.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SIDE:
        node.refuse(name, value, f"expected sides from 1 to {MAX_SIDE} pixels")
    return value
