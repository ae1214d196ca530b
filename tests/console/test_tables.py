from __future__ import annotations

import io

import pytest
from helpers.terminal import Terminal

from edge_lpr.console.tables import table

LONG = "a sentence that is longer than a terminal of forty columns is wide"


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_cells_line_up_under_chinese() -> None:
    assert table([["a", "1"], ["皖皖", "22"]]) == "a      1\n皖皖  22"


def test_columns_to_the_left_and_short_rows() -> None:
    rows = [["a", "b", "c"], ["aa", "bb", "1"], ["x"]]
    assert table(rows, left=(0, 1)) == "a   b   c\naa  bb  1\nx"
    assert table([]) == ""


def test_piped_it_is_plain_and_as_wide_as_it_needs() -> None:
    rows = [["name", "what"], ["x" * 200, (LONG, "red")]]
    for stream in (io.StringIO(), None):
        lines = table(rows, left=(0, 1), wrap=True, stream=stream).splitlines()
        assert lines == ["name" + " " * 198 + "what", "x" * 200 + "  " + LONG]


def test_colours_on_a_terminal_unless_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [["n", "state"], ["1", ("ok", "green")]]
    shown = table(rows, left=(0, 1), stream=Terminal())
    assert shown == "\x1b[1mn\x1b[0m  \x1b[1mstate\x1b[0m\n1  \x1b[32mok\x1b[0m"
    assert "\x1b" not in table([["1", "2"]], head=False, stream=Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert table(rows, left=(0, 1), stream=Terminal()) == "n  state\n1  ok"


def test_a_terminal_wraps_the_last_column_where_asked() -> None:
    rows = [["ok", LONG]]
    lines = table(rows, left=(0, 1), head=False, wrap=True, stream=Terminal()).splitlines()
    assert [line[:4] for line in lines] == ["ok  ", *["    "] * (len(lines) - 1)]
    assert max(map(len, lines)) <= 40 and " ".join(line[4:] for line in lines) == LONG
    # With too little room for a word, the terminal's own wrapping is better.
    rows = [["x" * 30, LONG]]
    assert table(rows, left=(0, 1), head=False, wrap=True, stream=Terminal()) == f"{rows[0][0]}  {LONG}"


def test_columns_that_a_terminal_has_no_room_for_come_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    rows = [["subset", "recall", "precision", "character_acc", "hits"], ["皖", "1", "2", "3", "4"]]
    shown = table(rows, stream=Terminal())
    assert shown == (
        "subset  recall  precision  character_acc\n皖           1          2              3\n\n"
        "subset  hits\n皖         4"
    )
    assert len(table(rows).splitlines()) == 2
    monkeypatch.setenv("COLUMNS", "5")
    assert table(rows, stream=Terminal()).count("subset") == 4


def test_cells_are_text_and_nothing_else() -> None:
    assert table([["[red]a[/]", ":smile:", "\x1b[1m"]], left=(0, 1, 2)) == "[red]a[/]  :smile:  \ufffd[1m"
