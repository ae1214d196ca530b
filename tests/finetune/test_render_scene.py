from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_lpr.finetune import degrade, render, render_scene, swap
from edge_lpr.finetune.render_plate import Plate, sample_plate


@pytest.mark.parametrize("seed", range(6))
def test_scenes_hold_their_plates_whole_and_apart(seed: int) -> None:
    settings = render_scene.SceneSettings(counts=(0, 0, 1, 1))
    image, plates = render_scene.render_scene(np.random.default_rng(seed), (480, 400), settings)
    assert image.shape == (400, 480, 3)
    assert image.dtype == np.uint8
    boxes = []
    for quad, plate in plates:
        assert quad.dtype == np.float32
        assert quad.shape == (4, 2)
        assert (quad.min(axis=0) >= 0).all()
        assert (quad.max(axis=0) <= (480, 400)).all()
        # Clockwise in a picture whose y points down: tl, tr, br, bl.
        assert cv2.contourArea(quad, oriented=True) > 0
        assert plate.text
        boxes.append((quad.min(axis=0), quad.max(axis=0)))
    for i, (low, high) in enumerate(boxes):
        for low2, high2 in boxes[i + 1 :]:
            assert not ((low < high2).all() and (low2 < high).all())


def test_the_plate_is_where_the_scene_says() -> None:
    """Blue just inside the corners, something else outside: a detector learns from these corners."""
    settings = render_scene.SceneSettings(counts=(0, 1), strength=0.0, min_width=150)
    rng = np.random.default_rng(11)
    scores = []
    for _ in range(12):
        image, plates = render_scene.render_scene(rng, (640, 640), settings)
        for quad, plate in plates:
            if plate.kind != "blue":
                continue
            crop = cv2.resize(render_scene.cut_quad(image, quad), (440, 140)).astype(np.float32)
            blueness = crop[..., 0] - crop[..., 2]
            wide = quad.mean(axis=0) + (quad - quad.mean(axis=0)) * 1.3
            outer = cv2.resize(render_scene.cut_quad(image, wide), (440, 140)).astype(np.float32)
            edge = (outer[..., 0] - outer[..., 2])[:, :30]
            scores.append(float(np.median(blueness[6:16])) - float(np.median(edge)))
    assert len(scores) >= 3
    assert np.median(scores) > 25


def test_streams_repeat_with_their_seed() -> None:
    first, second, other = render.crops(5), render.crops(5), render.crops(6)
    for _ in range(5):
        (image, plate), (image2, plate2) = next(first), next(second)
        assert plate == plate2
        assert np.array_equal(image, image2)
    assert next(other)[1] != plate


def test_crops_are_upright_and_of_the_asked_size() -> None:
    rng = np.random.default_rng(4)
    settings = render_scene.CropSettings(min_width=100, max_width=120, boxed=0.0)
    for _ in range(30):
        crop = render_scene.render_crop(sample_plate(rng), rng, settings)
        assert crop.dtype == np.uint8
        assert 45 <= crop.shape[1] <= 160
        assert crop.shape[1] > crop.shape[0]


def test_boxed_crops_have_ccpd_size() -> None:
    rng = np.random.default_rng(4)
    settings = render_scene.CropSettings(boxed=1.0)
    shapes = [render_scene.render_crop(sample_plate(rng), rng, settings).shape for _ in range(40)]
    assert shapes.count((24, 94, 3)) > 20


def test_photos_serve_as_background() -> None:
    photo = np.full((300, 500, 3), (10, 200, 30), np.uint8)
    settings = render_scene.SceneSettings(counts=(1,), photos=(photo,), strength=0.0)
    greens = 0
    for seed in range(10):
        image, plates = render_scene.render_scene(np.random.default_rng(seed), (320, 240), settings)
        assert not plates
        b, g, r = np.median(image, axis=(0, 1))
        greens += g > b + 40 and g > r + 40
    assert greens >= 5


@pytest.mark.parametrize("shape", [(1, 1), (2, 9), (24, 94), (70, 3), (1100, 40)])
@pytest.mark.parametrize(
    "effect",
    [
        degrade.light,
        degrade.night,
        degrade.shadow,
        degrade.glare,
        degrade.noise,
        degrade.shrink,
        degrade.sharpen,
        degrade.jpeg,
        lambda im, rng: degrade.defocus(im, rng, 3.0),
        lambda im, rng: degrade.motion(im, rng, 9.0),
        lambda im, rng: degrade.camera(im, rng, 20.0),
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


def _photo() -> tuple[swap.Image, swap.Quad]:
    """A grey wall with a blue plate, a little turned."""
    photo = np.full((300, 500, 3), 128, np.uint8)
    quad = np.array([[150, 120], [330, 132], [328, 190], [148, 178]], np.float32)
    flat = render_scene.render_plate(Plate("皖A12345", "blue"), np.random.default_rng(3), 80)
    render_scene.paste(photo, flat, quad)
    return photo, quad


def test_swapping_changes_the_plate_and_nothing_else() -> None:
    photo, quad = _photo()
    before = photo.copy()
    out = swap.swap_plate(photo, quad, Plate("川Z8Q8Q8", "blue"), np.random.default_rng(1))
    assert np.array_equal(photo, before)
    changed = np.abs(out.astype(int) - photo).max(axis=2) > 40
    ys, xs = np.nonzero(changed)
    assert changed.sum() > 1000
    assert xs.min() >= 139
    assert xs.max() <= 339
    assert ys.min() >= 111
    assert ys.max() <= 199


def test_a_swapped_plate_takes_over_the_old_ones_light() -> None:
    photo, quad = _photo()
    dark = (photo * 0.4).astype(np.uint8)
    means = []
    for picture in (photo, dark):
        assert swap.measure(picture, quad).kind == "blue"
        out = swap.swap_plate(picture, quad, Plate("川Z8Q8Q8", "blue"), np.random.default_rng(1))
        means.append(render_scene.cut_quad(out, quad).mean(axis=(0, 1)))
    assert means[0][0] > 1.4 * means[0][2]
    assert means[1][0] < 0.6 * means[0][0]


def test_moved_corners_follow_the_picture() -> None:
    photo = np.zeros((400, 600, 3), np.uint8)
    quad = np.array([[260, 180], [350, 190], [345, 225], [255, 215]], np.float32)
    cv2.fillConvexPoly(photo, quad.astype(np.int32), (255, 255, 255))
    found = 0
    for seed in range(12):
        image, kept, moved = swap.move_scene(photo, [quad], np.random.default_rng(seed), (320, 320), 0.4)
        assert image.shape == (320, 320, 3)
        assert len(kept) == len(moved)
        for corners in moved:
            grey = image.max(axis=2)
            mask = np.zeros_like(grey)
            cv2.fillConvexPoly(mask, np.round(corners).astype(np.int32), 1)
            inner = cv2.erode(mask, np.ones((5, 5), np.uint8)).astype(bool)
            ring = cv2.dilate(mask, np.ones((31, 31), np.uint8)).astype(bool) & ~cv2.dilate(
                mask, np.ones((9, 9), np.uint8)
            ).astype(bool)
            assert np.median(grey[inner]) > np.median(grey[ring]) + 30
            found += 1
    assert found >= 6


def test_swap_crop_is_about_as_large_as_the_plate() -> None:
    photo, quad = _photo()
    crop = swap.swap_crop(photo, quad, Plate("川Z8Q8Q8", "blue"), np.random.default_rng(2))
    assert 150 < crop.shape[1] < 220
    assert 45 < crop.shape[0] < 90


def test_contact_sheet_and_bench_run_from_the_command(
    tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    file = f"{tmp_path}/sheet.png"
    assert render.main(["--sheet", file, "--what", "plates"]) == 0
    assert cv2.imread(file).shape[1] == 4 * 378
    with pytest.raises(SystemExit) as stop:
        render.main(["--sheet", f"{tmp_path}/sheet.xyz"])
    assert stop.value.code == 2
