from __future__ import annotations

import numpy as np
import pytest

from edge_lpr.finetune.synthesis.render import plate as rp
from edge_lpr.finetune.synthesis.render.text import SyntheticPlate


@pytest.mark.parametrize(
    ("plate", "shape"),
    [
        (SyntheticPlate("皖A12345", "blue"), (140, 440)),
        (SyntheticPlate("皖AD12345", "green"), (140, 480)),
        (SyntheticPlate("皖A1234挂", "trailer", rows=2), (140, 280)),
        (SyntheticPlate("使123456", "embassy"), (140, 440)),
    ],
)
def test_size_follows_the_format(plate: SyntheticPlate, shape: tuple[int, int]) -> None:
    image = rp.render_plate(plate, np.random.default_rng(0), 140)
    assert image.dtype == np.uint8
    assert image.shape == (*shape, 3)


def test_colours_follow_the_kind() -> None:
    rng = np.random.default_rng(5)

    def ground(text: str, kind: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        plate = SyntheticPlate(text, kind)
        return np.mean(
            [np.median(rp.render_plate(plate, rng, 60)[40:55], axis=(0, 1)) for _ in range(12)], axis=0
        )

    blue, green, red = ground("皖A12345", "blue")
    assert blue > 1.5 * green > red
    blue, green, red = ground("皖AD12345", "green")
    assert green > 1.2 * max(blue, red)
    blue, green, red = ground("皖A1234学", "learner")
    assert min(green, red) > 2 * blue
    assert ground("皖A1234警", "police").min() > 150
    assert ground("粤Z1234港", "hongkong").max() < 110


def test_the_ending_of_a_police_plate_is_red() -> None:
    rng = np.random.default_rng(6)
    style = rp.sample_style(SyntheticPlate("皖A1234警", "police"), rng)
    style = rp.Style("strokes", 2, style.ink, style.base, style.base_low, (40.0, 35.0, 205.0), 3.0)
    image = rp.render_plate(SyntheticPlate("皖A1234警", "police"), rng, 140, style).astype(int)
    redness = (image[..., 2] - image[..., 0] > 80)[25:115]
    assert redness[:, 379:424].mean() > 0.2
    assert redness[:, :300].mean() < 0.01


def test_the_same_seed_draws_the_same_plate() -> None:
    plate = SyntheticPlate("鲁B8M27K", "blue")
    first, second = (rp.render_plate(plate, np.random.default_rng(9), 70) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, rp.render_plate(plate, np.random.default_rng(10), 70))
