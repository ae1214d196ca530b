from __future__ import annotations

import numpy as np
import pytest

from edge_lpr.benchmarks.scales import cut, shrunk

IMAGE = np.zeros((600, 900, 3), np.uint8)
QUAD = np.array([[400, 300], [640, 300], [640, 376], [400, 376]], np.float32)
IMAGE[300:376, 400:640] = 255


def white(image: np.ndarray) -> float:
    return float(np.ptp(np.nonzero(image[..., 0] > 127)[1])) + 1


@pytest.mark.parametrize("width", [48, 160])
def test_a_scene_is_shrunk_until_its_plate_is_so_wide(width: int) -> None:
    view = shrunk(IMAGE, QUAD, width)
    assert view is not None
    assert abs(white(view) - width) <= 2


def test_nothing_is_enlarged() -> None:
    assert shrunk(IMAGE, QUAD, 300) is None
    assert cut(IMAGE, QUAD, 0.2) is None


@pytest.mark.parametrize("share", [0.33, 0.95])
def test_a_scene_is_cut_until_its_plate_is_such_a_share(share: float) -> None:
    view = cut(IMAGE, QUAD, share)
    assert view is not None
    assert white(view) / view.shape[1] == pytest.approx(share, abs=0.02)
