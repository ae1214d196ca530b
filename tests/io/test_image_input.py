"""What may be handed in as an image: all of it is read as the same picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.videos import write_video
from numpy.typing import NDArray
from PIL import Image

from edge_lpr.errors import SettingError, SourceError
from edge_lpr.io.image_input import as_image

RNG = np.random.default_rng(7)
PICTURE: NDArray[np.uint8] = RNG.integers(0, 256, (12, 20, 3), np.uint8)
GREY: NDArray[np.uint8] = PICTURE[..., 1]


def written(folder: Path) -> Path:
    path = folder / "车.png"
    cv2.imencode(".png", PICTURE)[1].tofile(path)
    return path


def test_an_array_of_the_right_kind_is_itself() -> None:
    assert as_image(PICTURE) is PICTURE


def test_a_path_is_read(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert np.array_equal(as_image(path), PICTURE) and np.array_equal(as_image(str(path)), PICTURE)


def test_grey_has_three_equal_channels() -> None:
    for grey in (GREY, GREY[..., None], GREY.astype(np.uint16) * 257):
        assert np.array_equal(as_image(grey), np.dstack([GREY] * 3))


def test_transparency_is_laid_on_white() -> None:
    alpha = np.zeros((12, 20), np.uint8)
    alpha[:, :10] = 255
    made = as_image(np.dstack([PICTURE, alpha]))
    assert np.array_equal(made[:, :10], PICTURE[:, :10]) and (made[:, 10:] == 255).all()
    rgba = Image.fromarray(np.dstack([PICTURE[..., ::-1], alpha]))
    assert np.array_equal(as_image(rgba), made)


def test_pillow_images_of_all_modes() -> None:
    rgb = Image.fromarray(PICTURE[..., ::-1].copy())
    assert np.array_equal(as_image(rgb), PICTURE)
    assert np.array_equal(as_image(Image.fromarray(GREY)), np.dstack([GREY] * 3))
    for mode in ("P", "CMYK", "YCbCr", "1", "LA", "I", "I;16"):
        made = as_image(
            rgb.convert("L").convert(mode) if mode in ("1", "LA", "I", "I;16") else rgb.convert(mode)
        )
        assert made.shape == PICTURE.shape and made.dtype == np.uint8


def test_pillow_images_are_turned_as_files_are(tmp_path: Path) -> None:
    path = tmp_path / "phone.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PICTURE[..., ::-1].copy()).save(path, exif=exif)
    with Image.open(path) as opened:
        made = as_image(opened)
    assert made.shape == (20, 12, 3) and np.array_equal(made, as_image(path))


def test_a_failed_imread_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        SettingError, match=r"an image is None, which cv2\.imread gives where it cannot read a file; "
    ):
        as_image(cv2.imread(str(tmp_path / "none.jpg")))


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((9, 9)),
        np.zeros((9, 9, 2), np.uint8),
        np.zeros((2, 9, 9, 3), np.uint8),
        b"a.jpg",
        7,
        [PICTURE],
    ],
)
def test_what_is_no_image_is_named(wrong: Any) -> None:
    with pytest.raises(SettingError, match=r"an image is .*, expected a path, a Pillow image, or an array"):
        as_image(wrong)


def test_an_empty_one_is_named() -> None:
    for empty in (np.zeros((0, 9, 3), np.uint8), np.zeros((9, 0), np.uint8)):
        with pytest.raises(SettingError, match="pixels is empty"):
            as_image(empty)


def test_what_events_reads_is_sent_there(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 2)
    (tmp_path / "a.mp4").rename(tmp_path / "called.jpg")
    (tmp_path / "damaged.mp4").write_bytes(b"none that is known")
    for source in (tmp_path, tmp_path / "called.jpg", tmp_path / "damaged.mp4"):
        with pytest.raises(SourceError, match=r"expected an image; events\(\) reads folders and videos"):
            as_image(source)
    with pytest.raises(SourceError, match=r"expected an image; events\(\) reads addresses") as caught:
        as_image("rtsp://admin:secret@10.0.0.5/1")
    assert "secret" not in str(caught.value)
    with pytest.raises(SourceError, match="no such file"):
        as_image(tmp_path / "none.mp4")


def test_what_a_file_is_its_content_says(tmp_path: Path) -> None:
    path = written(tmp_path).rename(tmp_path / "a.mp4")
    assert np.array_equal(as_image(path), PICTURE)
