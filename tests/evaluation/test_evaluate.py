from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_lpr.console.tables import table
from edge_lpr.datasets.labels import LabelledPlate, Sample
from edge_lpr.errors import InputError, OutputError
from edge_lpr.evaluation.evaluate import evaluate_det, evaluate_e2e, evaluate_rec, score_rows
from edge_lpr.io.atomic_io import write_json
from edge_lpr.types import Image, Quad

QUAD = np.array([[10, 10], [40, 10], [40, 20], [10, 20]], np.float32)


def sample(
    folder: Path, name: str, plates: tuple[LabelledPlate, ...] | None, *, crop: bool = False, grey: int = 0
) -> Sample:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    cv2.imencode(".png", np.full((30, 60, 3), grey, np.uint8))[1].tofile(path)
    return Sample(path, plates, path.parent.name, crop)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    broken = sample(tmp_path, "scenes/broken.png", (LabelledPlate("皖A00000", QUAD),))
    broken.path.write_bytes(b"x")
    return [
        sample(tmp_path, "scenes/a.png", (LabelledPlate("皖A12345", QUAD),), grey=1),
        sample(
            tmp_path,
            "scenes/b.png",
            (LabelledPlate("皖A12345", QUAD), LabelledPlate("###", QUAD + 100)),
            grey=2,
        ),
        sample(tmp_path, "phone/c.png", (LabelledPlate("粤B12345", None),), grey=3),
        sample(tmp_path, "negatives/d.png", (), grey=4),
        sample(tmp_path, "crops/e.png", (LabelledPlate("川A12345", None),), crop=True, grey=5),
        sample(tmp_path, "other/f.png", None, grey=6),
        broken,
    ]


def test_detection_leaves_out_what_has_no_corners(samples: list[Sample]) -> None:
    ticks: list[int] = []

    def find(image: Image) -> list[Quad]:
        return {1: [QUAD], 2: [QUAD + 50], 4: [QUAD]}[int(image[0, 0, 0])]

    result = evaluate_det(find, samples, ticks.append)
    assert list(result.scores) == ["scenes", "negatives", "all"]
    assert (result.all.labelled, result.all.found, result.all.matched) == (2, 3, 1)
    assert [Path(m.image).name for m in result.misses] == ["b.png"]
    assert len(result.problems) == 1
    assert "broken.png" in result.problems[0]
    assert len(ticks) == result.items + 1 == 4
    assert result.fps > 0
    # Where there is no plate, none can be lost: such an image is no evidence that none is.
    assert {Path(name).name: right for name, right in result.right.items()} == {"a.png": True, "b.png": False}


def test_recognition_cuts_plates_out_of_scenes(samples: list[Sample]) -> None:
    shapes: dict[int, tuple[int, ...]] = {}

    def read(crops: Sequence[Image]) -> list[str]:
        shapes.update({int(c[0, 0, 0]): c.shape for c in crops})
        return ["皖A12345" if c[0, 0, 0] == 1 else "" for c in crops]

    result = evaluate_rec(read, samples)
    assert shapes == {1: (10, 30, 3), 2: (10, 30, 3), 5: (30, 60, 3)}
    assert (result.all.plates, result.all.exact) == (3, 1)
    assert {Path(k).name: v for k, v in result.right.items()} == {
        "a.png#0": True,
        "b.png#0": False,
        "e.png": False,
    }


@pytest.mark.parametrize(("batch", "runs"), [(1, [1, 1, 1]), (2, [2, 1]), (32, [3])])
def test_plates_are_read_so_many_at_once(samples: list[Sample], batch: int, runs: list[int]) -> None:
    result = evaluate_rec(lambda crops: [""] * len(crops), samples, batch=batch)
    assert [items for _, items in result.calls] == runs


def test_end_to_end_and_its_json(samples: list[Sample], tmp_path: Path) -> None:
    def read(image: Image) -> list[tuple[str, Quad]]:
        return {1: [("皖A12345", QUAD)], 2: [("皖A12346", QUAD)], 3: [("粤B12345", QUAD)], 4: []}[
            int(image[0, 0, 0])
        ]

    result = evaluate_e2e(read, samples)
    assert (result.all.labelled, result.all.reported, result.all.hits) == (3, 3, 2)
    assert result.scores["negatives"].reported == 0
    assert result.misses[0].expected == ("皖A12345",)
    assert result.misses[0].found == ("皖A12346",)
    write_json(tmp_path / "out.json", result.to_json())
    data = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert data["subsets"]["all"]["recall"] == pytest.approx(2 / 3, abs=1e-6)
    assert data["items"] == 4
    lines = table(score_rows(result.scores)).splitlines()
    assert lines[0].split()[:3] == ["subset", "recall", "precision"]
    assert lines[-1].split()[:3] == ["all", "0.6667", "0.6667"]


def test_nothing_to_evaluate_is_said(samples: list[Sample]) -> None:
    with pytest.raises(InputError, match="nothing to evaluate"):
        evaluate_det(lambda _: [], [s for s in samples if s.crop])


def test_json_into_a_missing_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_json(tmp_path / "no" / "out.json", {})
