"""Which images a step shows, where labelled images alone are learnt from."""

from __future__ import annotations

import pickle
from collections import Counter

import pytest
from helpers.extras import reason

pytest.importorskip("yaml", reason=reason("yaml", "finetune"))

from edge_lpr.finetune.recipe.data import LabelSource
from edge_lpr.finetune.training.epochs import Epochs, shown


def test_an_epoch_shows_every_image_once_in_another_order_than_the_one_before() -> None:
    epochs = Epochs([5, 4], LabelSource(("a", "b"), (1.0, 1.0)), batch=4, seed=1)
    assert epochs.steps == 3
    orders = [[n for step in range(3 * e, 3 * e + 3) for n in epochs(step)] for e in range(3)]
    assert all(sorted(order) == list(range(9)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert len(epochs(2)) == 1
    # The same in any process, whichever step it begins with.
    assert pickle.loads(pickle.dumps(Epochs([5, 4], LabelSource(), 4, 1)))(7) == epochs(7)


def test_a_last_batch_may_be_left_out_and_the_order_kept() -> None:
    epochs = Epochs([9], LabelSource(("a",), (1.0,), shuffle=False, drop_last=True), batch=4, seed=1)
    assert epochs.steps == 2
    assert [epochs(step) for step in range(3)] == [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3]]


def test_of_a_file_with_a_ratio_an_epoch_shows_a_share_each_time_another() -> None:
    source = LabelSource(("a", "b", "c"), (1.0, 0.25, 0.0))
    assert shown([4, 40, 4], source.ratios) == 14
    epochs = Epochs([4, 40, 4], source, batch=14, seed=1)
    assert epochs.steps == 1
    seen: Counter[int] = Counter()
    for step in range(40):
        numbers = epochs(step)
        assert len(set(numbers)) == 14 and {0, 1, 2, 3} < set(numbers)
        seen.update(numbers)
    assert set(seen) == set(range(44))
