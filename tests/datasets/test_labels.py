from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_lpr.datasets.labels import crop_sources, load_labels
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


QUAD = [[1, 2], [9, 2], [9, 5], [1, 5]]


def scene_line(name: str, *entries: dict[str, object]) -> str:
    return f"{name}\t{json.dumps([{'points': QUAD} | e for e in entries], ensure_ascii=False)}\n"


def test_what_ppocrlabel_marks_counts_neither_way(tmp_path: Path) -> None:
    make_image(tmp_path / "a.jpg")
    entries = [
        {"transcription": "皖A12345", "difficult": True},
        {"transcription": "皖B12345", "difficult": False},
        *({"transcription": text, "difficult": False} for text in ("待识别", "TEMPORARY", "无法识别", "＊")),
        # A region that does not count may have any number of corners.
        {"transcription": "", "difficult": True, "points": [[1, 2], [5, 1], [9, 2], [9, 5], [1, 5]]},
    ]
    (tmp_path / "det.txt").write_text(scene_line("a.jpg", *entries), encoding="utf-8")
    labels = load_labels([tmp_path])
    (scene,) = labels.samples
    plates = scene.plates or ()
    assert [p.text for p in plates if not p.ignored] == ["皖B12345"]
    assert (len(plates), scene.located) == (7, True)
    assert labels.problems == []
    assert labels.notes == ["6 plates neither learnt nor counted: marked as difficult, or read by nobody"]


def test_crops_that_nobody_has_read(tmp_path: Path) -> None:
    for i in range(3):
        make_image(tmp_path / "crop_img" / f"{i}.jpg")
    lines = "crop_img/0.jpg\t待识别\ncrop_img/1.jpg\t皖a·1 2３4５\ncrop_img/2.jpg\t-\n"
    (tmp_path / "rec_gt.txt").write_text(lines, encoding="utf-8")
    labels = load_labels([tmp_path])
    assert [[p.ignored for p in s.plates or ()] for s in labels.samples] == [[True], [False]]
    assert [p.text for p in labels.samples[1].plates or ()] == ["皖A12345"]
    assert ["empty label" in p for p in labels.problems] == [True]


def test_a_picture_that_is_listed_twice_counts_once(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        make_image(tmp_path / name)
    (tmp_path / "same.jpg").symlink_to(tmp_path / "a.jpg")
    plate = {"transcription": "皖A12345"}
    lines = [
        *(scene_line(name, plate) for name in ("a.jpg", "./a.jpg", "same.jpg")),
        scene_line("b.jpg", {"transcription": "皖B12345"}),
        scene_line("b.jpg", {"transcription": "皖C12345"}),
    ]
    (tmp_path / "det.txt").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "plates.csv").write_text(
        "file,label,corners_tl_tr_br_bl\nc.jpg,皖A12345,\nc.jpg,皖a 12345,\nc.jpg,皖B12345,\n"
        + 2 * "c.jpg,?,\n",
        encoding="utf-8",
    )
    labels = load_labels([tmp_path, tmp_path / "det.txt"])
    texts = {s.path.name: [p.text for p in s.plates or ()] for s in labels.samples}
    # Two that nobody can read may be two.
    assert texts == {
        "c.jpg": ["皖A12345", "皖B12345", "###", "###"],
        "a.jpg": ["皖A12345"],
        "b.jpg": ["皖B12345"],
    }
    # b.jpg's second line says something else; a.jpg comes three times, and all of det.txt a second time.
    assert [p.rsplit("det.txt:", 1)[1] for p in labels.problems] == [
        "5: 'b.jpg' again, with other plates: its first line counts"
    ] * 2
    assert labels.notes[-1] == "7 labels left out: the same was labelled before"


def test_separators_of_lines_that_are_none(tmp_path: Path) -> None:
    for name in ("a\u2028b.jpg", "c.jpg"):
        make_image(tmp_path / name)
    lines = scene_line("a\u2028b.jpg", {"transcription": "皖A\u202812345"}) + "c.jpg\t皖B\x85\u202912345\r\n"
    (tmp_path / "det.txt").write_text(lines, encoding="utf-8", newline="")
    (tmp_path / "plates.csv").write_text(
        "file,label,corners_tl_tr_br_bl,source\nc.jpg,皖C12345,,one\u2028line\n", encoding="utf-8"
    )
    labels = load_labels([tmp_path])
    assert labels.problems == []
    assert [(s.path.name, (s.plates or ())[0].text) for s in labels.samples] == [
        ("c.jpg", "皖C12345"),
        ("a\u2028b.jpg", "皖A12345"),
        ("c.jpg", "皖B12345"),
    ]


def test_backslashes_and_the_paths_of_ppocrlabel(tmp_path: Path) -> None:
    folder = tmp_path / "street"
    for name in ("0.jpg", "1.jpg", "2.jpg", "images/3.jpg", "crops/4.jpg"):
        make_image(folder / name)
    plate = {"transcription": "皖A12345"}
    (folder / "Label.txt").write_text(
        scene_line("street/0.jpg", plate)
        + scene_line("street\\1.jpg", plate)
        # The folder had another name when the labels were written.
        + scene_line("road/2.jpg", plate)
        + scene_line("street/../../outside.jpg", plate),
        encoding="utf-8",
    )
    (folder / "det.txt").write_text(
        scene_line("images\\3.jpg", plate) + scene_line("road/2.jpg", plate), "utf-8"
    )
    (folder / "plates.csv").write_text(
        "file,label,corners_tl_tr_br_bl\ncrops\\4.jpg,皖A12345,\n", encoding="utf-8"
    )
    make_image(tmp_path / "outside.jpg")
    labels = load_labels([folder])
    found = {s.path.relative_to(folder).as_posix(): (s.subset, s.crop) for s in labels.samples}
    scene = ("street", False)
    assert found == {
        "crops/4.jpg": ("crops", True),
        "images/3.jpg": ("images", False),
        **dict.fromkeys(("0.jpg", "1.jpg", "2.jpg"), scene),
    }
    assert [("outside of" in p, "no image 'road/2.jpg'" in p) for p in labels.problems] == [
        (False, True),
        (True, False),
    ]


def test_crops_stand_for_the_scenes_that_they_were_cut_out_of(tmp_path: Path) -> None:
    assert crop_sources(tmp_path) == [tmp_path]
    (tmp_path / "rec_gt.txt").touch()
    assert crop_sources(tmp_path) == [tmp_path]
    (tmp_path / "Label.txt").touch()
    assert crop_sources(tmp_path) == [tmp_path / "rec_gt.txt"]
    assert crop_sources(tmp_path / "Label.txt") == [tmp_path / "Label.txt"]


def test_paths_may_be_relative_to_another_folder_as_in_paddleocrs_configs(tmp_path: Path) -> None:
    make_image(tmp_path / "data" / "train" / "a.png")
    make_image(tmp_path / "lists" / "b.png")
    for name in ("one.txt", "two.txt"):
        (tmp_path / "lists" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "lists" / "one.txt").write_text("train/a.png\t皖A12345\n", encoding="utf-8")
    (tmp_path / "lists" / "two.txt").write_text("train/a.png\t皖A12345\nb.png\t皖A12345\n", encoding="utf-8")
    files = [tmp_path / "lists" / name for name in ("one.txt", "two.txt")]
    labels = load_labels(files, data_dir=tmp_path / "data")
    assert [sample.path for sample in labels.samples] == [tmp_path / "data" / "train" / "a.png"]
    assert (labels.counts, labels.repeated) == ([1, 0], 1)
    assert (
        len(labels.problems) == 1
        and f"two.txt:2: no image 'b.png' in {tmp_path / 'data'}" in labels.problems[0]
    )


def test_a_folder_of_labelled_folders_is_told_to_give_these(tmp_path: Path) -> None:
    for part in ("train", "val"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "det.txt").write_text("", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"has no label file itself, but .*train.det\.txt lies below it \(and 1"
    ):
        load_labels([tmp_path])
