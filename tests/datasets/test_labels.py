from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_lpr.datasets.labels import load_labels
from edge_lpr.errors import InputError

CCPD = "025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-0_0_22_27_27_33_16-37-15.jpg"


def make_image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imencode(path.suffix, np.zeros((8, 16, 3), np.uint8))[1].tofile(path)
    return path


def test_plates_csv(tmp_path: Path) -> None:
    for name in ("scenes/a.jpg", "negatives/n.jpg", "crops/皖A12345.jpg"):
        make_image(tmp_path / name)
    (tmp_path / "plates.csv").write_text(
        "file,label,corners_tl_tr_br_bl,source\n"
        'scenes/a.jpg,皖A·12345,"1,2 9,2 9,5 1,5",x\n'
        "scenes/a.jpg,粤OB1234,,x\n"
        "negatives/n.jpg,,,x\n"
        "crops/皖A12345.jpg,皖A12345,,x\n",
        encoding="utf-8",
    )
    labels = load_labels([tmp_path])
    scene, negative, crop = labels.samples
    assert [p.text for p in scene.plates or ()] == ["皖A12345", "粤OB1234"]
    first, second = scene.plates or ()
    assert first.corners is not None
    assert first.corners.tolist() == [[1, 2], [9, 2], [9, 5], [1, 5]]
    assert second.corners is None
    assert (negative.plates, negative.subset, negative.crop) == ((), "negatives", False)
    assert (crop.crop, crop.subset) == (True, "crops")
    assert labels.crops == [crop]
    assert labels.scenes == [scene, negative]
    assert list(dict.fromkeys(s.subset for s in labels.samples)) == ["scenes", "negatives", "crops"]
    assert scene.read().shape == (8, 16, 3)


def test_bad_rows_are_listed_and_the_rest_is_kept(tmp_path: Path) -> None:
    make_image(tmp_path / "in" / "a.jpg")
    make_image(tmp_path / "outside.jpg")
    (tmp_path / "in" / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    (tmp_path / "in" / "plates.csv").write_text(
        "file,label,corners_tl_tr_br_bl\n"
        "../outside.jpg,皖A12345,\n"
        "link.jpg,皖A12345,\n"
        "gone.jpg,皖A12345,\n"
        'a.jpg,皖A12345,"1,2 3,4"\n'
        'a.jpg,皖A12345,"1,2 nan,2 9,5 1,5"\n'
        'a.jpg,皖A12345,"1,2 1,2 1,2 1,2"\n'
        "a\0.jpg,皖A12345,\n"
        "a.jpg,皖A12345,\n",
        encoding="utf-8",
    )
    labels = load_labels([tmp_path / "in" / "plates.csv"])
    assert len(labels.samples) == 1
    reasons = [
        "outside of",
        "outside of",
        "no image 'gone.jpg'",
        "four points",
        "four points",
        "no area",
        "no image",
    ]
    assert len(labels.problems) == len(reasons)
    for line, (problem, reason) in enumerate(zip(labels.problems, reasons, strict=True), 2):
        assert f"plates.csv:{line}:" in problem
        assert reason in problem


def test_a_converted_folder_keeps_the_groups_it_was_made_of(tmp_path: Path) -> None:
    lines = {"det.txt": [], "rec.txt": []}
    for name, place in (("det.txt", "images"), ("rec.txt", "crops")):
        for group in ("ccpd_base", "."):
            make_image(tmp_path / place / group / "a.jpg")
            lines[name].append(f"{place}/{group}/a.jpg\t{'[]' if place == 'images' else '皖A12345'}\n")
        (tmp_path / name).write_text("".join(lines[name]), encoding="utf-8")
    found = [(s.crop, s.subset) for s in load_labels([tmp_path]).samples]
    assert found == [(False, "ccpd_base"), (False, "images"), (True, "ccpd_base"), (True, "crops")]


def test_ppocr_files_of_both_kinds(tmp_path: Path) -> None:
    make_image(tmp_path / "images" / "a.jpg")
    make_image(tmp_path / "crop_img" / "a_0.jpg")
    entries = [
        {"transcription": "皖A12345", "points": [[1, 2], [9, 2], [9, 5], [1, 5]]},
        {"transcription": "###", "points": [[1, 6], [9, 6], [9, 8], [1, 8]]},
    ]
    bad = [{"transcription": "皖A12345", "points": [[1, 2], [9, 2]]}]
    (tmp_path / "det.txt").write_text(
        f"images/a.jpg\t{json.dumps(entries)}\nimages/a.jpg\t{json.dumps(bad)}\nimages/a.jpg\t[oops\n"
        "no tab\n",
        encoding="utf-8",
    )
    (tmp_path / "rec.txt").write_text("crop_img/a_0.jpg\t皖A12345\n\n", encoding="utf-8")
    labels = load_labels([tmp_path])
    scene, crop = labels.samples
    assert [p.ignored for p in scene.plates or ()] == [False, True]
    assert (crop.crop, [p.text for p in crop.plates or ()]) == (True, ["皖A12345"])
    assert [p.split(": ", 1)[0].rsplit(":", 1)[1] for p in labels.problems] == ["2", "3", "4"]


def test_ccpd_folder(tmp_path: Path) -> None:
    make_image(tmp_path / "ccpd_base" / CCPD)
    make_image(tmp_path / "ccpd_np" / "0001.jpg")
    make_image(tmp_path / "ccpd_base" / CCPD.replace("95_113", "95"))
    labels = load_labels([tmp_path])
    base, nothing = labels.samples
    assert (base.subset, [p.text for p in base.plates or ()]) == ("ccpd_base", ["皖AY339S"])
    assert (nothing.subset, nothing.plates) == ("ccpd_np", ())
    assert len(labels.problems) == 1
    assert "tilt is '95'" in labels.problems[0]


def test_unlabelled_images_only_when_asked(tmp_path: Path) -> None:
    make_image(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="no labelled image"):
        load_labels([tmp_path])
    labels = load_labels([tmp_path], unlabelled=True)
    assert [s.plates for s in labels.samples] == [None]


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "file,label,corners_tl_tr_br_bl\n"])
def test_a_file_without_labels_is_an_input_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "plates.csv").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"plates\.csv: no labelled image"):
        load_labels([tmp_path / "plates.csv"])


def test_missing_source_and_undecodable_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        load_labels([tmp_path / "nowhere"])
    (tmp_path / "det.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match="not a UTF-8 text"):
        load_labels([tmp_path / "det.txt"])


def test_images_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"not an image")
    (sample,) = load_labels([tmp_path], unlabelled=True).samples
    with pytest.raises(InputError, match="not an image"):
        sample.read()
    sample.path.write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        sample.read()
    sample.path.unlink()
    with pytest.raises(InputError, match="no such file"):
        sample.read()


def test_the_shared_plates(shared_data: Path) -> None:
    labels = load_labels([shared_data])
    assert labels.problems == []
    counts = Counter(s.subset for s in labels.samples)
    plates = Counter(s.subset for s in labels.samples for _ in s.plates or ())
    expected = {
        "ccpd": (25, 25),
        "negatives": (4, 0),
        "easypr": (136, 158),
        "phone": (4, 4),
        "crops": (506, 506),
    }
    assert {name: (counts[name], plates[name]) for name in expected} == expected
    by_name = {s.path.name: s.plates for s in labels.samples}
    for sample in load_labels([shared_data / "ccpd"]).samples:
        (mine,), (listed,) = sample.plates or (), by_name[sample.path.name] or ()
        assert mine.text == listed.text
        assert np.array_equal(mine.corners, listed.corners)


def test_plates_that_count_neither_way_and_more_folders_of_crops(tmp_path: Path) -> None:
    for name in ("far/a.png", "crops2/皖A12345.png"):
        make_image(tmp_path / name)
    (tmp_path / "plates.csv").write_text(
        'file,label,corners_tl_tr_br_bl\nfar/a.png,?,"1,1 5,1 5,3 1,3"\ncrops2/皖A12345.png,皖A12345,\n',
        encoding="utf-8",
    )
    scene, crop = load_labels([tmp_path]).samples
    assert scene.plates is not None and scene.plates[0].ignored and scene.located
    assert crop.crop and crop.plates is not None and not crop.plates[0].ignored
