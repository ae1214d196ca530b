"""Kinds register themselves; one file, or one call, adds a kind to everything that is made of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_lpr.errors import SettingError
from edge_lpr.finetune.synthesis import compositing
from edge_lpr.finetune.synthesis.render.plate import render_plate
from edge_lpr.finetune.synthesis.render.text import PlateMix, SyntheticPlate, kind_shares, sample_plate
from edge_lpr.finetune.synthesis.render.view import paste
from edge_lpr.geometry import crop_quad
from edge_lpr.pipeline.ctc import PlateDecoder
from edge_lpr.plates import KINDS, PLATE_CHARSET, charset, kinds, plate_formats, plate_kinds, register
from edge_lpr.plates.charset import SUFFIXES
from edge_lpr.plates.colour import colour_shares
from edge_lpr.plates.kind import PlateColour

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
        formats={"toy navy": ("HN", LETTERS, *[DIGITS] * 5), "toy navy old": ("舟", *[DIGITS] * 5)},
        layouts=(ONE_ROW, TWO_ROWS, SHORT),
        ground=Ground((238.0, 240.0, 240.0)),
        ink=BLACK,
        accent="^[A-Z]{2}",
        share=0.25,
    )
)
"""


# A colour that no kind has yet: white on red.
COAST = """
from edge_lpr.plates.characters import OFFICES, PROVINCES, SERIAL
from edge_lpr.plates.kind import WHITE, Ground, PlateColour, PlateKind
from edge_lpr.plates.layout import ONE_ROW
from edge_lpr.plates.registry import register

register(
    PlateKind(
        name="toy coast",
        rank=36,
        colour="red",
        formats={"standard": (PROVINCES, OFFICES, *[SERIAL] * 5)},
        layouts=(ONE_ROW,),
        ground=Ground((40.0, 40.0, 200.0)),
        ink=WHITE,
        share=0.0,
        in_photos=PlateColour(
            (40.0, 40.0, 200.0), WHITE, hues=(0, 10), matches=lambda b, g, r: r > 1.5 * max(b, g)
        ),
    )
)
"""


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that the test may add to."""
    monkeypatch.setattr(KINDS, "_choices", dict(KINDS._choices))


@pytest.fixture
def one_more(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_registry: None
) -> Iterator[None]:
    """One more file beside the kinds that ship."""
    (tmp_path / "toykind.py").write_text(request.param, encoding="utf-8")
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    monkeypatch.setattr(KINDS, "_loaded", False)
    yield
    sys.modules.pop("edge_lpr.plates.kinds.toykind", None)


@pytest.mark.usefixtures("one_more")
@pytest.mark.parametrize("one_more", [NAVY], indirect=True, ids=["navy"])
def test_one_file_adds_a_kind_to_reading_and_rendering() -> None:
    assert plate_kinds()[:5] == ("blue", "yellow", "green", "toy navy", "police")
    assert [form.name for form in plate_formats() if "toy navy" in form.kinds] == ["toy navy", "toy navy old"]
    assert charset._suffixes() == "舟" + SUFFIXES

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


@pytest.mark.usefixtures("one_more")
@pytest.mark.parametrize("one_more", [COAST], indirect=True, ids=["coast"])
def test_one_file_adds_a_colour_to_reading_and_compositing() -> None:
    plates = {
        kind: render_plate(SyntheticPlate("皖A12345", kind), np.random.default_rng(3), 80)
        for kind in ("toy coast", "blue", "yellow", "police")
    }
    # The format is also that of blue and yellow plates: the colour tells which kind it is.
    standard = next(form for form in plate_formats() if form.name == "standard")
    assert list(standard.kinds.values()) == ["blue", "yellow", "red"]
    assert [standard.kind(plates[kind]) for kind in ("toy coast", "blue", "yellow")] == [
        "toy coast",
        "blue",
        "yellow",
    ]

    quad = np.array([[150, 120], [400, 120], [400, 200], [150, 200]], np.float32)
    photos = {}
    for kind, plate in plates.items():
        photos[kind] = np.full((300, 560, 3), 128, np.uint8)
        paste(photos[kind], plate, quad)
    seen = {kind: compositing.measure(photo, quad).colour for kind, photo in photos.items()}
    assert seen == {"toy coast": "red", "blue": "blue", "yellow": "yellow", "police": "white"}

    plate = SyntheticPlate("川Z8Q8Q8", "toy coast")
    out = crop_quad(compositing.swap_plate(photos["toy coast"], quad, plate, np.random.default_rng(1)), quad)
    assert colour_shares(out)["red"] > 0.4


@pytest.mark.usefixtures("own_registry")
def test_a_colour_shows_alike_in_every_kind() -> None:
    other = PlateColour((1.0, 1.0, 1.0), (9.0, 9.0, 9.0))
    with pytest.raises(SettingError, match="'toy': 'blue' shows otherwise in photos than that of 'blue'"):
        register(replace(KINDS["blue"], name="toy", in_photos=other))
    register(replace(KINDS["blue"], name="toy", in_photos=None))


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
