from __future__ import annotations

import numpy as np
import pytest

from edge_lpr.pipeline.views import View, touches_border
from edge_lpr.plates import PlateRead

HEIGHT, WIDTH = 40, 70


def read(corners: np.ndarray) -> PlateRead:
    return PlateRead("皖A12345", "blue", 1.0, 1.0, (1.0,) * 7, corners, 1.0, np.zeros((7, 3), np.float32))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_what_a_view_shows_is_found_again_in_the_image(quarters: int, mirrored: bool) -> None:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[8:14, 50:63] = 255
    view = View(quarters, mirrored)
    seen = view.of(image)
    assert seen.shape[:2] == ((HEIGHT, WIDTH) if quarters % 2 == 0 else (WIDTH, HEIGHT))
    ys, xs = np.nonzero(seen[..., 0])
    box = np.array(
        [
            [xs.min(), ys.min()],
            [xs.max() + 1, ys.min()],
            [xs.max() + 1, ys.max() + 1],
            [xs.min(), ys.max() + 1],
        ]
    )
    back = view.back(read(box.astype(np.float32)), (HEIGHT, WIDTH)).corners
    assert back.dtype == np.float32
    assert np.array_equal(back.min(axis=0), [50, 8])
    assert np.array_equal(back.max(axis=0), [63, 14])
    assert np.array_equal(view.points(back, (HEIGHT, WIDTH)), box)


def test_an_image_as_it_is_is_not_copied() -> None:
    image = np.zeros((4, 5, 3), np.uint8)
    assert View().of(image) is image


def test_the_upper_left_corner_of_a_plate_stays_the_first() -> None:
    # Turned a quarter clockwise, what was below comes to stand at the left.
    box = np.array([[10, 20], [30, 20], [30, 28], [10, 28]], np.float32)
    corners = View(1).back(read(box), (HEIGHT, WIDTH)).corners
    assert corners.tolist() == [[20, 30], [20, 10], [28, 10], [28, 30]]


@pytest.mark.parametrize(
    ("left", "right", "touching"),
    [
        (10, 60, (False, False)),
        (1, 40, (True, False)),
        (30, 69, (False, True)),
        (0, 70, (True, True)),
        (6, 67.5, (False, True)),
        (2.5, 64, (True, False)),
        (6, 65, (False, False)),
    ],
)
def test_touches_border(left: float, right: float, touching: tuple[bool, bool]) -> None:
    quad = np.array([[left, 10], [right, 10], [right, 20], [left, 20]], np.float32)
    assert touches_border(quad, (HEIGHT, WIDTH)) == touching
