from __future__ import annotations

import io
import subprocess
import sys

import pytest
from helpers.terminal import Terminal

from edge_lpr.console.text import clip, columns, duration, number, pad, paint, printable


def test_colour_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("x", "bold", Terminal()) == "x"
    monkeypatch.delenv("NO_COLOR")
    assert paint("x", "bold", Terminal()) == "\x1b[1mx\x1b[0m"
    assert paint("x", "green", Terminal()) == "\x1b[32mx\x1b[0m"
    assert paint("x", "bold", io.StringIO()) == "x"
    monkeypatch.setenv("TERM", "dumb")
    assert paint("x", "bold", Terminal()) == "x"


def test_columns_clipping_and_padding() -> None:
    assert columns("皖A1") == 4 and pad("皖", 4) == "皖  " and pad("abc", 2) == "abc"
    assert clip("abcdef", 6) == "abcdef" and clip("abcdef", 4) == "abc…"
    assert clip("abcdef", 4, tail=True) == "…def" and clip("皖皖皖", 4) == "皖…"
    assert clip("皖皖皖", 4, tail=True) == "…皖" and clip("皖皖", 2) == "…" and clip("a bc", 3) == "a…"


def test_durations() -> None:
    assert [duration(s) for s in (0.04, 8.5, 61, 3723)] == ["0.0 s", "8.5 s", "01:01", "1:02:03"]


def test_numbers() -> None:
    assert [number(v) for v in (0.25, 99.94, 123.4)] == ["0.2", "99.9", "123"]


def test_names_cannot_drive_the_terminal() -> None:
    assert printable("a\x1b]0;x\x07\nb\u202e") == "a\ufffd]0;x\ufffd\ufffdb\ufffd"


def test_the_package_and_the_version_do_without_rich() -> None:
    code = """
import sys
import edge_lpr, edge_lpr.cli
assert edge_lpr.cli.main(["--version"]) == 0
print(sorted(name for name in sys.modules if name.partition(".")[0] in ("rich", "rapidfuzz", "jinja2")))
"""
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout.splitlines()[-1] == "[]"
