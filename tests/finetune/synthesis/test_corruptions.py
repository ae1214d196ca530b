from __future__ import annotations

import numpy as np
import pytest

from edge_lpr.finetune.synthesis import corruptions


@pytest.mark.parametrize("shape", [(1, 1), (2, 9), (24, 94), (70, 3), (1100, 40)])
@pytest.mark.parametrize(
    "effect",
    [
        corruptions.light,
        corruptions.night,
        corruptions.shadow,
        corruptions.glare,
        corruptions.noise,
        corruptions.shrink,
        corruptions.sharpen,
        corruptions.jpeg,
        lambda im, rng: corruptions.defocus(im, rng, 3.0),
        lambda im, rng: corruptions.motion(im, rng, 9.0),
        lambda im, rng: corruptions.camera(im, rng, 20.0),
    ],
)
def test_degradations_keep_shape_and_input(effect: object, shape: tuple[int, int]) -> None:
    assert callable(effect)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, 3), np.uint8)
    before = image.copy()
    for _ in range(4):
        out = effect(image, rng)
        assert out.shape == image.shape
        assert out.dtype == np.uint8
        assert np.array_equal(image, before)
