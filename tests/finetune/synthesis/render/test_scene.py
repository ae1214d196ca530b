from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_lpr.finetune.synthesis.render.scene import SceneSettings, render_scene
from edge_lpr.geometry import crop_quad


@pytest.mark.parametrize("seed", range(6))
def test_scenes_hold_their_plates_whole_and_apart(seed: int) -> None:
    settings = SceneSettings(counts=(0, 0, 1, 1))
    image, plates = render_scene(np.random.default_rng(seed), (480, 400), settings)
    assert image.shape == (400, 480, 3)
    assert image.dtype == np.uint8
    boxes = []
    for quad, plate in plates:
        assert quad.dtype == np.float32
        assert quad.shape == (4, 2)
        assert (quad.min(axis=0) >= 0).all()
        assert (quad.max(axis=0) <= (480, 400)).all()
        # Clockwise in an image whose y points down: tl, tr, br, bl.
        assert cv2.contourArea(quad, oriented=True) > 0
        assert plate.text
        boxes.append((quad.min(axis=0), quad.max(axis=0)))
    for i, (low, high) in enumerate(boxes):
        for low2, high2 in boxes[i + 1 :]:
            assert not ((low < high2).all() and (low2 < high).all())


def test_the_plate_is_where_the_scene_says() -> None:
    """Blue just inside the corners, something else outside: a detector learns from these corners."""
    settings = SceneSettings(counts=(0, 1), strength=0.0, min_width=150)
    rng = np.random.default_rng(11)
    scores = []
    for _ in range(12):
        image, plates = render_scene(rng, (640, 640), settings)
        for quad, plate in plates:
            if plate.kind != "blue":
                continue
            crop = cv2.resize(crop_quad(image, quad), (440, 140)).astype(np.float32)
            blueness = crop[..., 0] - crop[..., 2]
            wide = quad.mean(axis=0) + (quad - quad.mean(axis=0)) * 1.3
            outer = cv2.resize(crop_quad(image, wide), (440, 140)).astype(np.float32)
            edge = (outer[..., 0] - outer[..., 2])[:, :30]
            scores.append(float(np.median(blueness[6:16])) - float(np.median(edge)))
    assert len(scores) >= 3
    assert np.median(scores) > 25


def test_photos_serve_as_background() -> None:
    photo = np.full((300, 500, 3), (10, 200, 30), np.uint8)
    settings = SceneSettings(counts=(1,), photos=(photo,), strength=0.0)
    greens = 0
    for seed in range(10):
        image, plates = render_scene(np.random.default_rng(seed), (320, 240), settings)
        assert not plates
        b, g, r = np.median(image, axis=(0, 1))
        greens += g > b + 40 and g > r + 40
    assert greens >= 5


def test_a_scene_too_small_for_any_plate_is_empty() -> None:
    settings = SceneSettings(counts=(0, 1))
    image, plates = render_scene(np.random.default_rng(0), (32, 24), settings)
    assert image.shape == (24, 32, 3)
    assert plates == []
