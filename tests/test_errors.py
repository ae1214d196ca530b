"""An exception's text as a part of one line."""

from __future__ import annotations

import pytest

from edge_lpr.errors import one_line


def test_many_lines_become_one() -> None:
    assert one_line(ValueError(" bad\n\tvalue:  3\r\n")) == "bad value: 3"
    assert one_line(ValueError("bad\nvalue"), named=True) == "ValueError: bad value"


@pytest.mark.parametrize("named", [False, True])
def test_an_exception_without_text_is_its_type(named: bool) -> None:
    assert one_line(MemoryError(), named=named) == "MemoryError"


def test_long_texts_are_cut() -> None:
    error = RuntimeError("x" * 1000)
    assert one_line(error) == "x" * 200
    assert one_line(error, 5) == "xxxxx"
