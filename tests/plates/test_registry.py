"""Kinds register themselves; one file, or one call, adds a kind to everything that is made of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_lpr.errors import SettingError
from edge_lpr.finetune.synthesis.render.plate import render_plate
from edge_lpr.finetune.synthesis.render.text import PlateMix, SyntheticPlate, kind_shares, sample_plate
from edge_lpr.pipeline.ctc import PlateDecoder
from edge_lpr.plates import KINDS, PLATE_CHARSET, charset, kinds, plate_formats, plate_kinds, register

# Two letters in red and five digits on white; ends in a character that no head has yet.
NAVY = """
from edge_lpr.plates.characters import DIGITS, LETTERS
from edge_lpr.plates.kind import BLACK, Ground, PlateKind
from edge_lpr.plates.layout import ONE_ROW, TWO_ROWS, Layout, row
from edge_lpr.plates.registry import register

SHORT = Layout(size=(400, 140), cells=row((15.0 + 62.0 * i for i in range(6)), 25.0, 45.0, 90.0))

register(
    PlateKind(
        name="toy navy",
        rank=35,
        colour="white",
        formats={"toy navy": ("HN", LETTERS, *[DIGITS] * 5), "toy navy old": ("海", *[DIGITS] * 5)},
        layouts=(ONE_ROW, TWO_ROWS, SHORT),
        ground=Ground((238.0, 240.0, 240.0)),
        ink=BLACK,
        accent="^[A-Z]{2}",
        share=0.25,
    )
)
"""


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that the test may add to."""
    monkeypatch.setattr(KINDS, "_choices", dict(KINDS._choices))


@pytest.fixture
def navy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_registry: None) -> Iterator[None]:
    """One more file beside the kinds that ship."""
    (tmp_path / "toynavy.py").write_text(NAVY, encoding="utf-8")
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    monkeypatch.setattr(KINDS, "_loaded", False)
    yield
    del sys.modules["edge_lpr.plates.kinds.toynavy"]


@pytest.mark.usefixtures("navy")
def test_one_file_adds_a_kind_to_reading_and_rendering() -> None:
    assert plate_kinds()[:5] == ("blue", "yellow", "green", "toy navy", "police")
    assert [form.name for form in plate_formats() if "toy navy" in form.kinds] == ["toy navy", "toy navy old"]
    assert charset._suffixes() == "海警学挂港澳领使"

    labels = ("", *PLATE_CHARSET)
    probs = np.full((14, len(labels)), 0.001, np.float32)
    probs[1::2, 0] = 0.99
    probs[np.arange(0, 14, 2), [labels.index(c) for c in "HB13107"]] = 0.95
    reading = PlateDecoder(PLATE_CHARSET).decode(probs / probs.sum(axis=1, keepdims=True))
    assert reading.text == "HB13107"
    assert reading.format is not None
    assert reading.format.kind(None) == "toy navy"

    assert kind_shares()["toy navy"] == 0.25
    rng = np.random.default_rng(1)
    drawn = [sample_plate(rng, PlateMix(kinds={"toy navy": 1.0}, two_rows=0.5)) for _ in range(40)]
    assert {(len(plate.text), plate.rows) for plate in drawn} == {(7, 1), (7, 2), (6, 1)}
    assert all(any(form.accepts(plate.text) for form in plate_formats()) for plate in drawn)
    assert any("toy navy" in sample_plate(rng).kind for _ in range(100))

    reds = []
    for seed in range(5):
        image = render_plate(SyntheticPlate("HB13107", "toy navy"), np.random.default_rng(seed), 140)
        redness = (image[..., 2].astype(int) - image[..., 0] > 80)[25:115]
        reds.append((redness[:, :125].mean(), redness[:, 150:].mean()))
    assert np.median(reds, axis=0)[0] > 0.1
    assert np.median(reds, axis=0)[1] < 0.02


@pytest.mark.usefixtures("own_registry")
def test_a_kind_is_registered_once() -> None:
    with pytest.raises(SettingError, match="plate kind 'blue': registered twice"):
        register(replace(KINDS["blue"], rank=7))


@pytest.mark.usefixtures("own_registry")
def test_a_format_has_the_same_positions_in_every_kind() -> None:
    with pytest.raises(SettingError, match="'toy': format 'standard' has other positions than in 'blue'"):
        register(replace(KINDS["blue"], name="toy", formats={"standard": ("AB", *["12"] * 6)}))
    register(replace(KINDS["blue"], name="toy", rank=15))
    assert list(plate_formats()[0].kinds) == ["blue", "toy", "yellow"]


def test_an_unknown_kind_is_told_which_there_are() -> None:
    with pytest.raises(SettingError, match="plate kind 'purple': expected one of blue, yellow"):
        KINDS["purple"]


def test_every_file_of_the_package_registers() -> None:
    files = {path.stem for path in Path(kinds.__file__).parent.glob("[a-z]*.py")}
    assert files == set(plate_kinds())
