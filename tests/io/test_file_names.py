"""Names that fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_lpr.io.file_names import NAME_BYTES, PART, beside, fitted, part_path, safe_name, unique

LATIN, CHINESE = "n" * NAME_BYTES, "车" * (NAME_BYTES // 3)


def test_names_are_safe_and_unique() -> None:
    assert safe_name("rtsp://user:***@10.0.0.5/1?x=../../etc") == "rtsp_user_10.0.0.5_1_x_.._.._etc"
    assert safe_name("皖A·D1234") == "皖A·D1234" and safe_name("../") == "_"
    taken: set[str] = set()
    assert [unique(n, taken) for n in ("a.png", "A.png", "a.png")] == ["a.png", "A-2.png", "a-3.png"]


@pytest.mark.parametrize("longest", [LATIN, CHINESE])
def test_what_is_made_of_the_longest_name_is_a_name_too(tmp_path: Path, longest: str) -> None:
    (tmp_path / longest).touch()
    taken: set[str] = set()
    names = [unique(f"{longest[:-4]}.png", taken) for _ in range(12)]
    names += [fitted(longest, ".mp4"), beside(tmp_path / longest, ".parity.json").name, safe_name(longest)]
    names.append(part_path(tmp_path / longest, ".mp4").name)
    for name in names:
        (tmp_path / name).touch()
    assert len(list(tmp_path.iterdir())) == len(names) + 1
    assert all(name.encode().decode() == name for name in names)  # no character was cut in two
    assert beside(tmp_path / longest, ".x").name.endswith(".x")


def test_a_part_is_known_by_its_name(tmp_path: Path) -> None:
    for name in (part_path(tmp_path / "结果 1.jsonl").name, part_path(tmp_path / CHINESE, ".mp4").name):
        assert PART.fullmatch(name)
    for name in (".bashrc", "a.1-2.part", ".a.part", ".a.1-2.part.x.y"):
        assert not PART.fullmatch(name)


def test_a_name_that_is_no_unicode_stays_one() -> None:
    assert fitted("a\udcff" * 3, ".png") == "a\udcff" * 3 + ".png"
    assert len(fitted("\udcff" * 300, ".png")) == NAME_BYTES
