"""JSON of others: what is beyond bounds is told in one line."""

from __future__ import annotations

import json

import pytest

from edge_lpr.errors import SettingError
from edge_lpr.io.plain_data import CONTROL, escape_controls, parse_json


def test_plain_values_come_back() -> None:
    value = {"a": [1, -(2**63), 2**63 - 1, 1.5, True, None, "皖\U0001f697"], "b": {"c": []}}
    assert parse_json(json.dumps(value).encode(), "x", SettingError) == value
    nested: object = 1
    for _ in range(64):
        nested = [nested]
    assert parse_json(json.dumps(nested), "x", SettingError) == nested


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("9" * 400, "an integer of 400 digits"),
        ("-" + "9" * 400, "an integer of 400 digits"),
        ("9" * 1_000_000, "an integer of 1000000 digits"),
        (str(2**63), "an integer of more than 64 bits"),
        ("1e999", "a number beyond what a float holds, 1e999"),
        ("[NaN]", "NaN is no JSON"),
        ("-Infinity", "-Infinity is no JSON"),
        ("[" * 65 + "]" * 65, "more than 64 levels in each other"),
        ('{"a":' * 500 + "1" + "}" * 500, "more than 64 levels in each other"),
        ("[" * 1_000_000, "more than 64 levels in each other"),
        (r'"\ud800"', "half a character"),
        (r'{"\udfff": 1}', "half a character"),
        ("{", "at line 1, column 2"),
        ("", "at line 1, column 1"),
        ("\ufeff{}", "BOM"),
        (b"\xff", "no UTF-8 text at byte 0"),
        ("[1] 2", "Extra data at line 1"),
    ],
)
def test_what_is_beyond_bounds_is_one_line(text: str | bytes, said: str) -> None:
    with pytest.raises(SettingError, match=rf"^a\.json: not valid JSON \(.*{said}.*\); mend it$") as error:
        parse_json(text, "a.json", SettingError, remedy="; mend it")
    assert len(str(error.value)) < 200


def test_control_characters_are_escaped_and_come_back() -> None:
    value = {"\x9b\u202e": ["\x1b[2J\u2028\x7f", "皖"]}
    text = escape_controls(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(text) == value and "皖" in text
    assert not CONTROL.search(text.replace("\n", ""))
