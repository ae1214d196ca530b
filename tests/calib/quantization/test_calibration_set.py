"""The images of a calibration differ in what plates differ in."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from edge_lpr.calib.quantization.calibration_set import digest, select, strata
from edge_lpr.datasets.labels import LabelledPlate, Sample
from edge_lpr.io.image_io import write_image

CORNERS = np.array([[10, 10], [50, 10], [50, 30], [10, 30]], np.float32)


def sample(folder: Path, name: str, text: str, level: int) -> Sample:
    path = folder / f"{name}.png"
    write_image(path, np.full((40, 60, 3), level, np.uint8))
    return Sample(path, (LabelledPlate(text, CORNERS),), "test")


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Thirty dark plates of one province, then three of others and two bright ones."""
    common = [sample(tmp_path, f"{i:02}", "皖A12345", 60) for i in range(30)]
    rare = [sample(tmp_path, f"rare{p}", f"{p}A12345", 60) for p in "京沪粤"]
    return [*common, *rare, *(sample(tmp_path, f"bright{i}", "皖A12345", 200) for i in range(2))]


def test_what_is_rare_is_selected(samples: list[Sample]) -> None:
    chosen, problems = select(samples, 6, seed=0)
    assert problems == []
    provinces = Counter(strata(s).province for s in chosen)
    assert set(provinces) == set("皖京沪粤")
    assert any(strata(s).values[0] > 100 for s in chosen)
    assert [samples.index(s) for s in chosen] == sorted(samples.index(s) for s in chosen)


def test_the_seed_decides(samples: list[Sample]) -> None:
    assert select(samples, 6, seed=3) == select(samples, 6, seed=3)
    assert len(select(samples, 100, seed=0)[0]) == len(samples)


def test_what_cannot_be_read_is_left_out(samples: list[Sample], tmp_path: Path) -> None:
    samples[0].path.write_bytes(b"no image")
    chosen, problems = select(samples, len(samples), seed=0)
    assert len(chosen) == len(samples) - 1
    assert len(problems) == 1
    assert "00.png" in problems[0]


def test_strata_measure_the_plate(tmp_path: Path) -> None:
    slanted = CORNERS + np.array([[0, 0], [0, 40], [0, 40], [0, 0]], np.float32)
    path = tmp_path / "a.png"
    write_image(path, np.full((100, 100, 3), 50, np.uint8))
    measured = strata(Sample(path, (LabelledPlate("京A12345", slanted),), "test"))
    assert measured.province == "京"
    assert measured.values == pytest.approx((50, 0, 45, 60))
    assert strata(Sample(path, None, "test")).values == pytest.approx((50, 0, 0, 100))


def test_the_digest_goes_by_contents_in_their_order() -> None:
    assert digest(["00", "ff"]) == hashlib.sha256(b"\x00\xff").hexdigest() != digest(["ff", "00"])
