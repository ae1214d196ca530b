"""How the covering of small plates is measured."""

from __future__ import annotations

import numpy as np

from edge_lpr.benchmarks.sharing import covered, shrunk

CORNERS = np.array([[100, 50], [200, 50], [200, 80], [100, 80]], np.float32)


def test_a_picture_is_made_smaller_until_its_plate_is_so_wide() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    made = shrunk(image, CORNERS, 25)
    assert made is not None and made[0].shape == (50, 75, 3)
    assert np.linalg.norm(made[1][1] - made[1][0]) == 25
    assert shrunk(image, CORNERS, 100) is None


def test_of_a_plate_that_share_counts_that_was_replaced() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    shared = image.copy()
    assert covered(image, shared, CORNERS) == 0
    shared[:, :151] = 9
    assert 0.45 < covered(image, shared, CORNERS) < 0.55
    shared[:] = 9
    assert covered(image, shared, CORNERS) == 1
