from __future__ import annotations

import numpy as np
import pytest

from edge_lpr.datasets.ccpd import parse_ccpd_name
from edge_lpr.errors import CcpdNameError
from edge_lpr.geometry import is_clockwise_convex

BLUE = "025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-0_0_22_27_27_33_16-37-15"
GREEN = "027-90_90-210&430_510&520-510&520_210&520_210&430_510&430-0_0_5_24_25_26_27_28-154-77"


def test_blue_name_of_the_datasets_own_readme() -> None:
    label = parse_ccpd_name(BLUE)
    assert label.text == "皖AY339S"
    assert label.box == (154, 383, 386, 473)
    assert label.corners.tolist() == [[154, 383], [363, 402], [386, 473], [177, 454]]
    assert label.corners.dtype == np.float32
    assert (label.area, label.tilt, label.brightness, label.blur) == (0.025, (95, 113), 37, 15)


def test_green_name_has_eight_characters() -> None:
    assert parse_ccpd_name(GREEN).text == "皖AF01234"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("-37-15", "-37", "6 fields"),
        ("025-", "0.25-", "area is '0.25'"),
        ("95_113", "95", "tilt is '95'"),
        ("95_113", "95_400", "tilt is '400'"),
        ("154&383_386&473-", "386&383_154&473-", "box is"),
        ("154&383_386&473-", "600&600_700&700-", "outside of the box"),
        ("386&473_177&454_154", "386&473_177&454_x", "corners is"),
        # The same quadrilateral the other way round would be a mirrored plate; a crossed one is none.
        ("386&473_177&454_154&383_363&402", "386&473_363&402_154&383_177&454", "corners are"),
        ("386&473_177&454_154&383_363&402", "386&473_154&383_177&454_363&402", "corners are"),
        ("0_0_22_27_27_33_16", "0_0_22_27_27_33", "6 indices"),
        ("0_0_22_27_27_33_16", "33_0_22_27_27_33_16", "character 1 is '33'"),
        ("0_0_22_27_27_33_16", "0_24_22_27_27_33_16", "character 2 is '24'"),
        ("0_0_22_27_27_33_16", "0_0_22_27_27_33_34", "character 7 is '34'"),
        ("0_0_22_27_27_33_16", "0_0_22_27_27_33_-1", "8 fields"),
        ("0_0_22_27_27_33_16", "0_0_22_27_27_33_١", "character 7"),
        ("-37-", "-256-", "brightness is '256'"),
        ("-37-15", "-37-x", "blur is 'x'"),
        ("386&473_177", "9999999&473_177", "corners is"),
    ],
)
def test_each_field_is_checked(old: str, new: str, message: str) -> None:
    assert old in BLUE
    with pytest.raises(CcpdNameError, match=message):
        parse_ccpd_name(BLUE.replace(old, new))


def test_order_of_corners() -> None:
    quad = np.array([[0, 0], [4, 0], [4, 2], [0, 2]], np.float32)
    assert is_clockwise_convex(quad)
    assert is_clockwise_convex(np.roll(quad, 1, axis=0))
    assert not is_clockwise_convex(quad[::-1])
    assert not is_clockwise_convex(np.array([[0, 0], [4, 0], [1, 1], [0, 4]], np.float32))
