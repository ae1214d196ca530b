"""What a kind checks of itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_lpr.errors import SettingError
from edge_lpr.plates import PlateKind
from edge_lpr.plates.kind import BLACK, Ground
from edge_lpr.plates.layout import ONE_ROW, TWO_ROWS, Layout, row

SHORT = Layout(size=(300, 140), cells=row((10.0, 70.0, 130.0), 25.0, 45.0, 90.0))


def kind(**changed: Any) -> PlateKind:
    settings: dict[str, Any] = {
        "name": "toy",
        "rank": 1,
        "colour": "white",
        "formats": {"toy": ("AB", "12", "12")},
        "layouts": (SHORT,),
        "ground": Ground((200.0, 200.0, 200.0)),
        "ink": BLACK,
        "share": 0.0,
    }
    return PlateKind(**{**settings, **changed})


def test_a_format_without_a_layout_is_named() -> None:
    with pytest.raises(SettingError, match="format 'toy' has 3 positions, but no layout has as many cells"):
        kind(layouts=(ONE_ROW,))
    with pytest.raises(SettingError, match="0 formats and a share of 0"):
        kind(formats={})
    with pytest.raises(SettingError, match="a share of -1"):
        kind(share=-1)


def test_the_layout_has_the_rows_and_the_number_of_characters() -> None:
    both = kind(layouts=(ONE_ROW, SHORT, TWO_ROWS))
    assert both.layout("A12") is SHORT
    assert both.layout("A123456", 2) is TWO_ROWS
    assert both.rows("A123456") == (1, 2)
    assert both.rows("A12") == (1,)
    with pytest.raises(SettingError, match=r"3 characters in 2 rows.* 7 in 1, 3 in 1, 7 in 2"):
        both.layout("A12", 2)


def test_the_ground_may_depend_on_the_text() -> None:
    rng = np.random.default_rng(0)
    odd, even = Ground((1.0, 1.0, 1.0)), Ground((2.0, 2.0, 2.0))
    striped = kind(ground=lambda text, _: odd if text.endswith("1") else even)
    assert striped.paint("A11", rng) is odd
    assert striped.paint("A12", rng) is even
    assert kind(ground=odd).paint("A12", rng) is odd


def test_an_accent_is_where_its_expression_matches() -> None:
    assert kind(accent="^[AB]").accents("A1B") == {0}
    assert kind(accent="[AB]").accents("A1B") == {0, 2}
    assert kind().accents("A1B") == frozenset()
