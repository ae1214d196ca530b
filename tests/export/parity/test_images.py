"""The images of a comparison: the same each time, a folder's in its order, bad ones passed over."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.extras import reason

from edge_lpr.errors import SourceError
from edge_lpr.export.parity.images import probe_images, read_images, scenes
from edge_lpr.geometry import iou_matrix
from edge_lpr.pipeline.reader import PlateReader


def test_drawn_images_are_the_same_each_time() -> None:
    first, second = probe_images(3), probe_images(3)
    assert [p.shape for p in first.values()] == [(480, 640, 3), (720, 1280, 3), (720, 960, 3)]
    for name, image in first.items():
        np.testing.assert_array_equal(image, second[name])
    assert not np.array_equal(first["drawn 1"], probe_images(1, seed=8)["drawn 1"])


def test_the_default_bundle_finds_and_reads_what_comes_along() -> None:
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    with PlateReader() as reader:
        for scene in scenes():
            assert scene.image.shape == (256, 320, 3)
            (read,) = reader.read(scene.image)
            assert read.text == scene.text
            assert iou_matrix([scene.corners], [read.corners])[0, 0] > 0.6
        for image, scene in zip(probe_images(2).values(), scenes(), strict=True):
            assert scene.text in [read.text for read in reader.read(image)]


def test_images_of_a_folder(tmp_path: Path) -> None:
    for i in range(5):
        cv2.imencode(".png", np.full((20, 2000, 3), i, np.uint8))[1].tofile(tmp_path / f"图 {i}.PNG")
    (tmp_path / "broken.jpg").write_bytes(b"x")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "notes.txt").write_text("x")
    found = read_images(tmp_path, 50)
    assert list(found) == [f"图 {i}.PNG" for i in range(5)]
    assert {p.shape for p in found.values()} == {(16, 1600, 3)}
    assert len(read_images(tmp_path, 4)) <= 4
    problems: list[str] = []
    read_images(tmp_path, 50, problems.append)
    assert problems and all(line.startswith(str(tmp_path)) for line in problems)
    with pytest.raises(SourceError, match="cannot be read"):
        read_images(tmp_path / "none", 5)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(SourceError, match="no image"):
        read_images(tmp_path / "nothing", 5)
