"""What an export is asked to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_lpr.errors import SettingError
from edge_lpr.export import settings
from edge_lpr.export.settings import load_origin


def test_an_origin_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "o.json").write_text('{"made": {"start": "皖"}}', encoding="utf-8")
    assert load_origin(tmp_path / "o.json") == {"made": {"start": "皖"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON .*at line 1"),
        ("[1]", "holds list, expected an object"),
        ('{"a": NaN}', "NaN is no JSON"),
        ("[" * 100_000, "more than 64 levels"),
        ('{"converter": {}}', "has 'converter', which export writes itself"),
    ],
)
def test_what_is_no_origin_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "o.json").write_text(content)
    with pytest.raises(SettingError, match=message) as error:
        load_origin(tmp_path / "o.json")
    assert "\n" not in str(error.value)


def test_an_origin_has_a_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "o.json").write_text('{"a": 1}')
    monkeypatch.setattr(settings, "_MAX_ORIGIN_BYTES", 7)
    with pytest.raises(SettingError, match="8 bytes, an origin has at most 7"):
        load_origin(tmp_path / "o.json")
    with pytest.raises(SettingError, match="cannot be read"):
        load_origin(tmp_path / "none.json")
