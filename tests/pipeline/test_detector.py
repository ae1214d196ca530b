"""The sizes and batches of the detector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_lpr.bundle.manifest import DetSpec
from edge_lpr.errors import BackendError
from edge_lpr.pipeline.detector import Detector, fit_frame
from edge_lpr.pipeline.settings import DetectorSettings


class Echo:
    """A network of one line: the map is the first channel of the image over 255."""

    name, precision, device = "echo", "fp32", "none"
    preferred_batch, concurrency = 8, 1

    def __init__(
        self,
        max_batch: int | None = None,
        cut: int = 0,
        sizes: tuple[tuple[int, int], ...] | None = None,
    ) -> None:
        self.max_batch = max_batch
        self.sizes = sizes
        self.cut = cut
        self.shapes: list[tuple[int, ...]] = []

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        image = inputs["image"]
        self.shapes.append(image.shape)
        return {"prob": (image[..., 0] / 255).astype(np.float32)[:, self.cut :]}

    def close(self) -> None:
        pass


def detector(limit: int = 736, kind: str = "min", **options: Any) -> tuple[Detector, Echo]:
    backend = Echo(**options)
    settings = DetectorSettings(det_limit_side_len=limit, det_limit_type=kind)
    return Detector(backend, DetSpec("image", "prob", 32, 736, "min", 1600, {}, {}), settings), backend


@pytest.mark.parametrize(
    ("limit", "kind", "size", "expected"),
    [
        (736, "min", (1160, 720), (1184, 736)),
        (736, "min", (720, 1160), (736, 1184)),
        (960, "max", (1080, 1920), (544, 960)),
        (960, "max", (300, 400), (288, 384)),
        (736, "min", (200, 20_000), (32, 1600)),
        (736, "min", (1, 1), (736, 736)),
        (64, "min", (3000, 4000), (1216, 1600)),
    ],
)
def test_input_size_is_det_resize_for_tests(
    limit: int, kind: str, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert detector(limit, kind)[0].input_size(*size) == expected


def test_boxes_come_back_in_source_pixels() -> None:
    image = np.zeros((500, 800, 3), np.uint8)
    image[200:260, 300:500] = 255
    box = detector()[0].detect(image)[0]
    assert box.score > 0.9
    centre = box.corners.mean(axis=0)
    assert np.abs(centre - [400, 230]).max() < 4


def test_images_of_one_size_run_as_one_batch_within_the_backends_limit() -> None:
    wide, high = np.zeros((736, 800, 3), np.uint8), np.zeros((800, 736, 3), np.uint8)
    finder, backend = detector(max_batch=2)
    assert finder.detect_batch([wide, high, wide, wide]) == [[], [], [], []]
    assert [shape[0] for shape in backend.shapes] == [2, 1, 1]


@pytest.mark.parametrize(
    ("content", "sizes", "expected"),
    [
        ((736, 992), None, ((736, 992), (736, 992))),
        ((736, 992), ((736, 1312), (1312, 736)), ((736, 1312), (736, 992))),
        ((1184, 736), ((736, 1312), (1312, 736)), ((1312, 736), (1184, 736))),
        ((1600, 1600), ((736, 1312), (800, 800)), ((800, 800), (800, 800))),
    ],
)
def test_where_only_some_sizes_run_the_smallest_that_holds_the_image_is_taken(
    content: tuple[int, int],
    sizes: tuple[tuple[int, int], ...] | None,
    expected: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    assert fit_frame(content, sizes) == expected


@pytest.mark.parametrize("sizes", [None, ((736, 1312), (1312, 736)), ((384, 640),)])
def test_boxes_are_the_same_wherever_the_image_lies_in_the_input(
    sizes: tuple[tuple[int, int], ...] | None,
) -> None:
    image = np.zeros((720, 1160, 3), np.uint8)
    image[200:280, 600:900] = 255
    box = detector(sizes=sizes)[0].detect(image)[0]
    assert np.abs(box.corners.mean(axis=0) - [750, 240]).max() < 6


def test_a_map_of_another_size_is_an_error_that_names_both() -> None:
    with pytest.raises(BackendError, match=r"\(1, 700, 736\).*\(1, 736, 736\)"):
        detector(cut=36)[0].detect(np.zeros((736, 736, 3), np.uint8))
