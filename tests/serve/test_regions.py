"""What was drawn on the page is kept, goes before the file, and can be taken over into it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from helpers.extras import reason

pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

from edge_lpr.errors import InputError
from edge_lpr.serve.regions import DrawnRegions, RegionFile, as_toml, with_drawn
from edge_lpr.serve.settings import ServeSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SQUARE = [(0.0, 0.0), (0.5, 0.0), (0.5, 0.25)]
SETTINGS = ServeSettings.model_validate(
    {"cameras": {"gate": {"source": "0", "masks": [SQUARE]}, "b": {"source": "1"}}}
)


def test_what_was_drawn_is_there_again(tmp_path: Path) -> None:
    file = RegionFile(tmp_path / "regions.json")
    assert file.read() == {}
    file.write("gate", DrawnRegions(regions=[SQUARE]))
    file.write("b", DrawnRegions(masks=[SQUARE]))
    assert file.read()["gate"].regions == [SQUARE] and file.read()["gate"].masks == []
    file.write("gate", None)
    assert set(RegionFile(tmp_path / "regions.json").read()) == {"b"}


def test_it_goes_before_what_the_file_says() -> None:
    changed = with_drawn(SETTINGS, {"gate": DrawnRegions(regions=[SQUARE]), "gone": DrawnRegions()})
    assert changed.cameras["gate"].regions == [SQUARE] and changed.cameras["gate"].masks == []
    assert changed.cameras["b"] is SETTINGS.cameras["b"] and list(changed.cameras) == ["gate", "b"]


def test_it_is_written_as_the_file_has_it() -> None:
    text = as_toml("gate", DrawnRegions(regions=[SQUARE], masks=[SQUARE, SQUARE]))
    read = tomllib.loads(text)["cameras"]["gate"]
    assert read["regions"] == [[list(point) for point in SQUARE]] and len(read["masks"]) == 2


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"gate": {"regions": [[[0, 0], [1, 0]]]}}',
        '{"gate": {"masks": [[[0, 0], [9, 0], [1, 1]]]}}',
    ],
)
def test_a_damaged_file_is_told_and_not_written_over(tmp_path: Path, text: str) -> None:
    file = RegionFile(tmp_path / "regions.json")
    file.path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"regions\.json: .*; put it right, or move the file away"):
        file.read()
    with pytest.raises(InputError):
        file.write("gate", None)
    assert file.path.read_text(encoding="utf-8") == text
