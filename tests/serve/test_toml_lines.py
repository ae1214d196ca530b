"""The line of each key: of whatever TOML's reader takes."""

from __future__ import annotations

import pytest
from helpers.extras import reason

pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

import random
import sys

from edge_lpr.serve.toml_lines import key_lines, long_key_line

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEXT = '''\
# a comment = 1
top = 1

[cameras.gate] # [not.this]
source = "a # b = 'c'"
masks = [ # why
  [[0.1, 0.2],
   [0.3, 0.4]], # "
]
"quoted key".x = 5
text = """
line = 3
[no.table]
a\\"""b"""
raw = \'\'\'
x = "
\'\'\'
z = { a = 1, b = [1, 2], "c.d" = {e = 1} }
[[web.tokens]]
name = "a"
[[ web . tokens ]]
name = 'b'
[web.tokens.sub]
day = 1979-05-27T07:32:00Z
'''


def test_lines_of_all_keys() -> None:
    lines = key_lines(TEXT)
    gate = ("cameras", "gate")
    wanted = {
        ("top",): 2,
        gate: 4,
        (*gate, "source"): 5,
        (*gate, "masks"): 6,
        (*gate, "masks", 0, 1, 0): 8,
        (*gate, "quoted key", "x"): 10,
        (*gate, "text"): 11,
        (*gate, "raw"): 15,
        (*gate, "z", "b", 1): 18,
        (*gate, "z", "c.d", "e"): 18,
        ("web", "tokens", 0): 19,
        ("web", "tokens", 0, "name"): 20,
        ("web", "tokens", 1): 21,
        ("web", "tokens", 1, "name"): 22,
        ("web", "tokens", 1, "sub", "day"): 24,
    }
    assert {place: lines.get(place) for place in wanted} == wanted
    assert ("line",) not in lines and ("no", "table") not in lines


def places(value: object, place: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    found = {place} if place else set()
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in pairs:
        found |= places(one, (*place, key))
    return found


def test_each_place_that_the_reader_finds_has_a_line() -> None:
    # Lists of tables stand in no line of their own, and tables on the way to others may stand in none.
    found, lines = places(tomllib.loads(TEXT)), key_lines(TEXT)
    assert found - set(lines) <= {("cameras",), ("web",), ("web", "tokens"), ("web", "tokens", 1, "sub")}
    assert set(lines) <= found


def test_nothing_that_the_reader_takes_breaks_it() -> None:
    chance = random.Random(7)
    taken = 0
    for _ in range(3000):
        text = list(TEXT)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(text))
            text[at] = chance.choice(
                ["", "\n", '"', "'", "[", "]", "{", "}", "=", ".", "#", " ", "a", text[at] * 2]
            )
        try:
            tomllib.loads("".join(text))
        except tomllib.TOMLDecodeError:
            continue
        taken += 1
        lines = key_lines("".join(text))
        assert all(1 <= line <= len(text) for line in lines.values())
    assert taken > 100


@pytest.mark.parametrize("begin", ["a", "[a", "[[a", "[cameras.gate]\nx = { a", "'a'", '"a b"'])
def test_a_key_of_thousands_of_names_is_found_before_it_is_read(begin: str) -> None:
    for dot in (".", " . "):
        for name in ("a", '"a.b"', "'c'"):
            text = "# \n\n" + begin + (dot + name) * 10_000
            assert long_key_line(text) == 3 + begin.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        f"# {'a.' * 100}",
        f"x = '{'a.' * 100}'",
        f'x = "{"a." * 100}"',
        f"x = '''\n{'a.' * 100}\n'''",
        f'x = """\n{"a." * 100}\n"""',
        f"x = [{'1.5, ' * 1000}]",
        "a" * 1_000_000,
        ".".join("abcdefghijklmnopqrstuvwxyz") + " = 1",
    ],
)
def test_what_is_no_long_key_is_taken_for_none(text: str) -> None:
    assert long_key_line(text) == 0
