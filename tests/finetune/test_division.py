"""What both networks have learnt, what neither has, and the folders that they are written to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.extras import reason

pytest.importorskip("yaml", reason=reason("yaml", "finetune"))

from edge_lpr.datasets.labels import LabelledPlate, Sample, load_labels
from edge_lpr.errors import InputError
from edge_lpr.finetune import release, stages
from edge_lpr.finetune.division import divide, split, write_samples
from edge_lpr.io.image_io import write_image

CORNERS = np.array([[10, 10], [50.5, 12], [50, 24], [9, 22]], np.float32)


def crop(number: int, plates: bool = True) -> Sample:
    return Sample(
        Path(f"{number}.jpg"), (LabelledPlate("皖A12345", None),) if plates else (), "crops", crop=True
    )


def scene(number: int, plates: bool = True) -> Sample:
    return Sample(Path(f"s{number}.jpg"), (LabelledPlate("皖A12345", CORNERS),) if plates else (), "street")


def names(samples: tuple[Sample, ...]) -> list[str]:
    return [s.path.stem for s in samples]


def test_every_fourth_is_held_out_and_none_is_in_both() -> None:
    samples = [crop(i, plates=i != 7) for i in range(12)]
    learnt, held = split(samples, 4)
    assert [s.path.stem for s in held] == ["3", "7", "11"]
    assert [s.path.stem for s in learnt] == ["0", "1", "2", "4", "5", "6", "8", "9", "10"]


def test_unseen_is_what_neither_network_has_learnt() -> None:
    samples = [scene(0), crop(1), scene(2, plates=False), crop(3), scene(4), scene(5)]
    # Of every second, the detector holds out s2 and s5, the recognizer 1 and s4: each has learnt the other's.
    division = divide(samples, 2)
    assert names(division.unseen) == ["1", "s2"]
    assert names(division.learnt) == ["s0", "3"]
    # A scene whose corners nobody knows is for neither.
    unknown = Sample(Path("u.jpg"), (LabelledPlate("皖A12345", None),), "street")
    assert names(divide([*samples, unknown], 2).unseen) == ["1", "s2", "u"]


def labelled(folder: Path) -> Path:
    (folder / "street").mkdir(parents=True)
    (folder / "crops").mkdir()
    rows = ["file,label,corners_tl_tr_br_bl"]
    for n in range(6):
        group, corners = ("crops", "") if n % 2 else ("street", "10,10 50.5,12 50,24 9,22")
        write_image(folder / group / f"{n}.png", np.full((40, 80, 3), n, np.uint8))
        rows.append(f"{group}/{n}.png,皖A1234{n},{corners}")
    rows += [
        "street/4.png,?,1,1 9,1 9,4 1,4".replace(",1,1 9,1 9,4 1,4", ',"1,1 9,1 9,4 1,4"'),
        "street/9.png,,",
    ]
    rows[1::2] = [
        row.replace(",10,10 50.5,12 50,24 9,22", ',"10,10 50.5,12 50,24 9,22"') for row in rows[1::2]
    ]
    write_image(folder / "street" / "9.png", np.full((40, 80, 3), 9, np.uint8))
    (folder / "plates.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_what_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    samples = load_labels([labelled(tmp_path / "data")]).samples
    write_samples(samples, tmp_path / "out")
    again = load_labels([tmp_path / "out"])
    assert not again.problems and len(again.samples) == len(samples) == 7
    for before, after in zip(samples, again.samples, strict=True):
        assert (after.subset, after.crop) == (before.subset, before.crop)
        assert np.array_equal(after.read(), before.read())
        assert before.plates is not None and after.plates is not None
        for a, b in zip(before.plates, after.plates, strict=True):
            assert a.text == b.text and np.array_equal(a.corners, b.corners)


def test_two_images_of_one_name_are_told(tmp_path: Path) -> None:
    samples = [Sample(tmp_path / folder / "1.png", (), "street") for folder in ("a", "b")]
    for sample in samples:
        sample.path.parent.mkdir()
        write_image(sample.path, np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InputError, match=r"street/1\.png: would be .*a.1\.png and .*b.1\.png; rename one"):
        write_samples(samples, tmp_path / "out")


def test_the_command_writes_both_and_none_of_it_over_the_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = labelled(tmp_path / "data")
    assert release.main(["divide", "--data", str(data), "--out", str(tmp_path / "parts")]) == 0
    told = capsys.readouterr().out.splitlines()
    counts = [len(load_labels([tmp_path / "parts" / name]).samples) for name in ("learnt", "unseen")]
    assert told == [
        f"{tmp_path / 'parts' / name}: {count} images"
        for name, count in zip(("learnt", "unseen"), counts, strict=True)
    ]
    division = divide(load_labels([data]).samples, stages.load_recipe()["held_out"])
    assert counts == [len(division.learnt), len(division.unseen)]
    learnt = tmp_path / "parts" / "learnt"
    assert release.main(["divide", "--data", str(learnt), "--out", str(tmp_path / "parts")]) == 2
    assert "--out" in capsys.readouterr().err
