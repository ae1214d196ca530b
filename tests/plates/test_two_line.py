from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_lpr.plates.two_line import TWO_ROW_ASPECT, unfold_rows


def drawn(width: int = 440, height: int = 220) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A two-row plate whose seven cells hold the values 1 to 7 times 30."""
    plate = np.zeros((220, 440, 3), np.uint8)
    for i, x in enumerate((110, 250)):
        plate[15:75, x : x + 80] = 30 * (i + 1)
    for i in range(5):
        x = round(27.5 + 80 * i)
        plate[90:200, x : x + 65] = 30 * (i + 3)
    return np.asarray(cv2.resize(plate, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.mark.parametrize("size", [(440, 220), (150, 80), (60, 30), (900, 420)])
def test_characters_come_in_reading_order(size: tuple[int, int]) -> None:
    out = unfold_rows(drawn(*size))
    middle = out[out.shape[0] // 2, :, 0].astype(int)
    # Medians: at an edge, interpolation passes through every value between.
    places = [float(np.median(np.flatnonzero(np.abs(middle - 30 * k) < 6))) for k in range(1, 8)]
    assert places == sorted(places)
    assert out.shape[1] / out.shape[0] > TWO_ROW_ASPECT


def test_both_rows_get_cells_of_one_size() -> None:
    out = unfold_rows(drawn())[..., 0].astype(int)
    sizes = []
    for k in range(1, 8):
        # The largest piece of a value is its cell; edges pass through other cells' values.
        _, _, stats, _ = cv2.connectedComponentsWithStats((np.abs(out - 30 * k) < 4).astype(np.uint8))
        sizes.append(
            stats[1:][np.argmax(stats[1:, cv2.CC_STAT_AREA])][[cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
        )
    assert (np.max(sizes, axis=0) <= 1.2 * np.min(sizes, axis=0)).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 1)])
def test_tiny_crops_do_not_fail(shape: tuple[int, int]) -> None:
    out = unfold_rows(np.full((*shape, 3), 7, np.uint8))
    assert out.shape[0] >= 1
    assert out.shape[1] >= 2
