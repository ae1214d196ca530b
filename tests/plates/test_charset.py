"""The characters of a head that is cut to plates."""

from __future__ import annotations

import json
from importlib.resources import files

from edge_lpr.plates import PLATE_CHARSET, plate_formats
from edge_lpr.plates.charset import SUFFIXES


def test_the_order_is_that_of_the_heads_that_ship() -> None:
    assert "".join(PLATE_CHARSET) == (
        "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789警学挂港澳领使军空海北沈兰济南广成消边通森金电应急·"
    )
    bundle = json.loads((files("edge_lpr") / "bundles/default/bundle.json").read_text(encoding="utf-8"))
    assert bundle["rec"]["charset"] == [c for c in PLATE_CHARSET if c != "·"]


def test_every_format_is_covered() -> None:
    needed = {c for form in plate_formats() for position in form.positions for c in position}
    assert needed <= set(PLATE_CHARSET)
    assert len(set(PLATE_CHARSET)) == len(PLATE_CHARSET) == 93


def test_31_provinces_come_first_and_the_suffixes_before_the_dot() -> None:
    assert sum(not c.isascii() for c in PLATE_CHARSET[:31]) == 31
    assert "".join(PLATE_CHARSET[67:-1]) == SUFFIXES
    assert SUFFIXES == "警学挂港澳领使军空海北沈兰济南广成消边通森金电应急"
