"""The keys that docs/serve.md names are those that there are, and what the examples show works."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.extras import reason

pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

from edge_lpr.serve.config import load_config
from edge_lpr.serve.example import SAMPLE, example
from edge_lpr.serve.settings_page import settings_page

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "serve.md"
BEGIN, END = "<!-- settings: edge-lpr serve --settings -->\n", "<!-- end of settings -->\n"


def test_the_documentation_has_what_the_command_prints() -> None:
    shown = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert shown == settings_page(), "put there what this prints: edge-lpr serve --settings"


def test_every_key_says_what_it_is_for() -> None:
    rows = [line.split(" | ") for line in settings_page().splitlines() if line.startswith("| `")]
    assert len(rows) > 80
    assert [row[0] for row in rows if not row[3].strip(" |")] == []


def test_the_example_is_good_and_names_the_sample_from_where_it_lies(tmp_path: Path) -> None:
    sample = ROOT / SAMPLE
    for folder, shown in ((ROOT, "samples/street.mp4"), (tmp_path, str(sample))):
        assert f'source = "{shown}"' in example(folder)
    path = tmp_path / "cameras.toml"
    path.write_text(example(tmp_path), encoding="utf-8")
    settings = load_config(path, {}).settings
    assert [camera.source for camera in settings.cameras.values()] == [str(sample)] * 2


def test_the_example_of_an_installed_kit_names_the_sample_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_lpr.serve.example.ROOT", tmp_path / "site-packages")
    assert 'source = "samples/street.mp4"' in example(ROOT)
    # Where there is none, it says what to put in; and is good as it is.
    text = example(tmp_path)
    assert (
        "put the addresses of yours in" in text and "street.mp4" not in text and "loop = true\n" not in text
    )
    (tmp_path / "cameras.toml").write_text(text, encoding="utf-8")
    cameras = load_config(tmp_path / "cameras.toml", {}).settings.cameras
    assert [one.source for one in cameras.values()] == ["rtsp://camera.example/1"] * 2
    assert [one.same_plate_within for one in cameras.values()] == [30, 30], "2 s suit the video alone"


def test_what_the_example_leaves_to_be_taken_in_is_good_too(tmp_path: Path) -> None:
    lines = example(tmp_path).splitlines()
    keys = tuple("[abcdefghijklmnopqrstuvwxyz")
    taken = [
        line[2:]
        if line.startswith("# ") and line[2:3] in keys and (" = " in line or line[2] == "[")
        else line
        for line in lines
    ]
    text = "\n".join(line for line in taken if "rtsp://" not in line)
    (tmp_path / "residents.csv").write_text("plate,name\n京A12345,An\n", encoding="utf-8")
    path = tmp_path / "cameras.toml"
    path.write_text(text, encoding="utf-8")
    settings = load_config(path, {"GATE_SECRET": "correct horse"}).settings
    assert set(settings.outputs) == {"log", "home", "gate"} and set(settings.lists) == {"residents"}
    assert settings.cameras["out"].direction == "size" and settings.cameras["out"].regions
