"""One rule for how a plate's text is written."""

from __future__ import annotations

import pytest

from edge_lpr.datasets.label_text import LabelledPlate, clean_text, is_uncounted


@pytest.mark.parametrize(
    "text",
    [
        *(
            "皖A12345",
            "皖A·12345",
            "皖A•12345",
            "皖A.12345",
            "皖A-12345",
            "皖A—12345",
            "皖A・12345",
            "皖A‧12345",
        ),
        *(
            "皖a12345",
            "皖Ａ１２３４５",
            "皖ａ．１２３４５",
            " 皖A 12345\t",
            "皖A\u300012345",
            "皖A\u200b1\xa02345\ufeff",
        ),
    ],
)
def test_one_plate_is_written_in_one_way(text: str) -> None:
    assert clean_text(text) == "皖A12345"


def test_what_is_no_separator_stays() -> None:
    assert clean_text("粤Z1234港") == "粤Z1234港"
    assert clean_text("皖A12?45") == "皖A12?45"
    assert clean_text("(é)") == "(É)"
    assert clean_text(" ·-") == ""


@pytest.mark.parametrize(
    "text", ["###", "＃＃＃", " * ", "?", "？", "待识别", "TEMPORARY", "无法识别", "NULL"]
)
def test_marks_of_what_does_not_count(text: str) -> None:
    assert is_uncounted(text)
    assert not is_uncounted(f"皖{text}")


def test_a_plate_without_a_text_counts_where_it_lies() -> None:
    assert not LabelledPlate("", None).ignored
