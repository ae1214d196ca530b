from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.extras import reason

from edge_lpr.benchmarks.recognizers import VIEWS, held_out_plates, main, sheared, shrunk
from edge_lpr.datasets.labels import load_labels
from edge_lpr.types import Quad

QUAD: Quad = np.array([[40, 30], [140, 30], [140, 60], [40, 60]], np.float32)


def test_a_sheared_crop_shows_a_slanted_plate() -> None:
    pushed = sheared(QUAD, 0.5, 0.0)
    np.testing.assert_allclose(pushed - QUAD, [[15, 0], [15, 0], [0, 0], [0, 0]])
    pushed = sheared(QUAD, 0.0, 0.1)
    np.testing.assert_allclose(pushed - QUAD, [[0, 0], [0, 10], [0, 10], [0, 0]])


def test_views_are_images_and_none_is_another() -> None:
    image = np.random.default_rng(0).integers(0, 255, (100, 200, 3), np.uint8)
    shown = [cut(image, QUAD) for cut in VIEWS.values()]
    assert all(one.dtype == np.uint8 and one.ndim == 3 for one in shown)
    assert len({one.tobytes() for one in shown}) == len(VIEWS)
    assert shrunk(shown[0], 12).shape[0] == 12 and shrunk(shown[0], 500) is shown[0]


def test_every_fourth_plate_is_held_out(scenes: Path) -> None:
    samples = load_labels([scenes]).samples
    assert [plate.text for plate in held_out_plates(samples)] == ["皖A13H25"] * 2


def test_both_tables(scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    out = tmp_path / "r.json"
    assert main([str(scenes), "--limit", "1", "--json", str(out)]) == 0
    assert "1 plate held out" in capsys.readouterr().out
    found = json.loads(out.read_text(encoding="utf-8"))
    assert set(found["right"]) == set(VIEWS) and list(found["right"]["as it is"].values()) == [1]
    assert list(found["ratios"].values()) == [1.0]
