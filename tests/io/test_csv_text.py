from __future__ import annotations

import re

import pytest

from edge_lpr.io.csv_text import BYTE_ORDER_MARK, csv_row, is_csv_row


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@a", "＝1", '"=1', " =1", "a;=1", "a|-1", "a\t=1", "\tx", "\r=1", "x\n=1"]
)
def test_no_cell_begins_a_formula(cell: str) -> None:
    first = cell.lstrip(' "')[0]
    row = csv_row([cell])
    assert f"'{first}" in row or f"'{cell[0]}" in row or re.search(r"[;|\t\n]'[=-]", row), row


@pytest.mark.parametrize("cell", ["粤B12345", "a=1", "1-2", "", "2026-11-27T03:00:00Z", "a;b"])
def test_what_is_none_stays_as_it_is(cell: str) -> None:
    assert csv_row([cell, 0.5, -1]) == f'"{cell}","0.5","-1"\r\n'


def test_a_row_is_known_again() -> None:
    assert is_csv_row(BYTE_ORDER_MARK + '"a","b"', ["a", "b"])
    assert is_csv_row("a,b", ["a", "b"])
    assert not is_csv_row('"a","c"', ["a", "b"])
    assert not is_csv_row("", ["a"])
