"""Which labelled images each step shows where a training shows all of them, epoch after epoch.

As PaddleOCR's loader counts: an epoch shows the share `ratio_list` of each label file, in random order with
`shuffle`, and its last batch is left out with `drop_last`. Here that is a function of seed and step, so that
any process makes the batch of any step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_lpr.finetune.recipe.data import LabelSource
from edge_lpr.finetune.recipe.scales import MultiScale, Scale, places

__all__ = ["Epochs", "ScaledEpochs", "shown"]


def shown(counts: Sequence[int], ratios: Sequence[float]) -> int:
    """Returns how many images an epoch shows of label files with so many, by their ratios."""
    return sum(round(count * ratio) for count, ratio in zip(counts, ratios, strict=True))


class Epochs:
    """The order of labelled images.

    Args:
        counts: Images of each label file; they are numbered through.
        source: Ratios, shuffling, and whether a last batch is left out.
        batch: Images per step.
        seed: Of the order.
    """

    def __init__(self, counts: Sequence[int], source: LabelSource, batch: int, seed: int) -> None:
        self.counts, self.batch, self.seed, self.shuffle = list(counts), batch, seed, source.shuffle
        self.ratios = list(source.ratios) or [1.0] * len(self.counts)
        number = shown(self.counts, self.ratios)
        self.steps = number // batch if source.drop_last else -(-number // batch)
        self._epoch: tuple[int, list[int]] = (-1, [])

    def __call__(self, step: int) -> list[int]:
        """Returns the numbers of the images of a step; fewer than a batch at the end of an epoch."""
        within = step % self.steps
        return self.order(step // self.steps)[within * self.batch : (within + 1) * self.batch]

    def order(self, epoch: int) -> list[int]:
        """Returns the numbers of the images of an epoch, the first of which is 0."""
        if self._epoch[0] != epoch:
            self._epoch = epoch, self._order(epoch)
        return self._epoch[1]

    def _order(self, epoch: int) -> list[int]:
        rng = np.random.default_rng((self.seed, 3, epoch))
        starts = np.cumsum([0, *self.counts])
        parts = [
            rng.permutation(count)[: round(count * ratio)] if ratio < 1 else np.arange(count)
            for count, ratio in zip(self.counts, self.ratios, strict=True)
        ]
        numbers = np.concatenate([part + start for part, start in zip(parts, starts, strict=False)])
        return [int(n) for n in (rng.permutation(numbers) if self.shuffle else numbers)]


class ScaledEpochs:
    """The order of labelled lines that are shown in several sizes, as PaddleOCR's `MultiScaleSampler` has it.

    There the lines of a batch stay together from epoch to epoch, here they are drawn anew.

    Args:
        counts: Lines of each label file; they are numbered through.
        source: Ratios, and whether the lines are in random order.
        sampler: The sizes.
        seed: Of the order.
    """

    def __init__(self, counts: Sequence[int], source: LabelSource, sampler: MultiScale, seed: int) -> None:
        self._lines, self._seed = Epochs(counts, source, 1, seed), seed
        self._sizes = sampler.sizes(self._lines.steps)

    def __call__(self, step: int) -> tuple[Scale, list[int]]:
        """Returns the size of a step's lines, and their numbers."""
        epoch, within = divmod(step, len(self._sizes))
        turn = np.random.default_rng((self._seed, 4, epoch)).permutation(len(self._sizes))
        sizes = [self._sizes[i] for i in turn]
        order = self._lines.order(epoch)
        return sizes[within], [order[place] for place in places(sizes, len(order))[within]]
