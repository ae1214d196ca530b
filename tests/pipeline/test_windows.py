"""Windows of a frame: at its scale, and no plate cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_lpr.geometry import bounding_box_iou
from edge_lpr.pipeline.db_postprocess import Box
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.windows import Window, detect_in_windows, joined

Scene = Callable[..., NDArray[np.uint8]]


class Recording:
    """A detector that finds what it is told to, and remembers what it was given."""

    model = SimpleNamespace(stride=32)

    def __init__(self, *boxes: Window) -> None:
        self.boxes = boxes
        self.images: list[tuple[int, int]] = []
        self.sizes: list[tuple[int, int]] = []

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        return 768, 1376

    def detect_batch(
        self, images: Sequence[NDArray[np.uint8]], *, sizes: Sequence[tuple[int, int]]
    ) -> list[list[Box]]:
        self.images += [(image.shape[0], image.shape[1]) for image in images]
        self.sizes += list(sizes)
        return [[Box(box.corners, None, 1.0) for box in self.boxes] for _ in images]


def detect(detector: Any, size: tuple[int, int], windows: Sequence[Window]) -> list[Box]:
    return detect_in_windows(detector, np.zeros((*size, 3), np.uint8), windows)


@pytest.mark.parametrize(
    "window",
    [Window(700, 300, 760, 330), Window(0, 0, 9, 9), Window(1700, 900, 1920, 1080), Window(0, 0, 1920, 1080)],
)
def test_a_window_has_the_scale_of_the_whole_frame(window: tuple[int, int, int, int]) -> None:
    detector = Recording()
    detect(detector, (1080, 1920), [Window(*window)])
    ((height, width),), ((high, wide),) = detector.sizes, detector.images
    assert height % 32 == width % 32 == 0 and min(height, width) >= 128
    assert height / high == pytest.approx(768 / 1080, rel=0.01)
    assert width / wide == pytest.approx(1376 / 1920, rel=0.01)
    assert high >= Window(*window).height - 1 and wide >= Window(*window).width - 1


def test_what_a_border_cuts_is_left_out_but_where_the_frame_ends() -> None:
    # In its own pixels: at the left border, at the right one, and inside.
    boxes = Window(0, 40, 60, 60), Window(93, 20, 121, 40), Window(20, 20, 58, 35)
    found = detect(Recording(*boxes), (768, 1376), [Window(640, 320, 736, 384)])
    assert [box.rectangle[0].tolist() for box in found] == [[717, 308], [644, 308]]
    at_the_edge = detect(Recording(boxes[0]), (768, 1376), [Window(0, 320, 96, 384)])
    assert [box.rectangle[0].tolist() for box in at_the_edge] == [[0, 328]]


def test_what_two_windows_show_is_found_once() -> None:
    class Overlapping(Recording):
        def detect_batch(
            self, images: Sequence[NDArray[np.uint8]], *, sizes: Sequence[tuple[int, int]]
        ) -> list[list[Box]]:
            return [
                [Box(Window(100, 30, 140, 50).corners, None, 1.0)],
                [Box(Window(20, 31, 60, 50).corners, None, 1.0)],
            ]

    found = detect(Overlapping(), (768, 1376), [Window(640, 320, 832, 416), Window(720, 320, 912, 416)])
    assert [box.rectangle[0].tolist() for box in found] == [[740, 334]]


def test_windows_are_joined_where_one_is_no_larger_than_two() -> None:
    near, nearer, far = Window(0, 0, 100, 50), Window(50, 0, 150, 50), Window(900, 0, 950, 50)
    assert joined([near, far, nearer]) == [far, Window(0, 0, 150, 50)]
    corner = Window(90, 40, 190, 90)  # that shares little
    assert joined([near, corner]) == [near, corner]
    assert joined([]) == []


def test_a_window_knows_its_corners_and_its_part_of_the_frame() -> None:
    window = Window.around(np.array([[-5.5, 2], [30, 2.2], [30, 20], [-5, 20]], np.float32), (1, 2))
    assert window == (-7, 0, 31, 22) and window.clipped((10, 20)) == (0, 0, 20, 10)
    assert Window.around(window.corners) == window
    assert Window(50, 0, 60, 10).clipped((10, 20)).area == 0


def test_a_plate_is_found_in_a_window_where_it_is_in_the_frame(
    reader: PlateReader, plate_scene: Scene
) -> None:
    image = np.full((480, 640, 3), 110, np.uint8)
    image[200:440, :320] = plate_scene()
    (whole,) = reader.detector.detect(image)
    (found,) = detect_in_windows(reader.detector, image, [Window.around(whole.rectangle, (40, 25))])
    assert bounding_box_iou(found.rectangle, whole.rectangle) > 0.85
    # Half of it is none.
    left, top, right, bottom = Window.around(whole.rectangle)
    middle, scale = (left + right) // 2, 640 / reader.detector.input_size(480, 640)[1]
    half = Window(middle, top - 20, middle + round(160 * scale), bottom + 20)
    assert detect_in_windows(reader.detector, image, [half]) == []
