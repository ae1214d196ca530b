"""The thresholds of reading: ranges, and which stage takes which."""

from __future__ import annotations

import numpy as np
import pytest

from edge_lpr.bundle.manifest import DetSpec
from edge_lpr.errors import SettingError
from edge_lpr.pipeline.settings import DetectorSettings, ReadSettings, TrackSettings, split_settings


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"thresh": 2.0}, "thresh"),
        ({"box_thresh": float("nan")}, "box_thresh"),
        ({"score_mode": "medium"}, "score_mode"),
        ({"det_limit_type": "resize_long"}, "det_limit_type"),
        ({"det_limit_side_len": 0}, "det_limit_side_len"),
        ({"tresh": 0.3}, "tresh"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, object], named: str) -> None:
    with pytest.raises(SettingError, match=named):
        DetectorSettings().changed(changes)


def test_a_bundle_decides_where_nobody_else_did() -> None:
    spec = DetSpec("image", "prob", 32, 640, "max", 1600, {"box_thresh": 0.4}, {})
    settings = DetectorSettings.for_model(spec)
    assert (settings.box_thresh, settings.det_limit_side_len, settings.det_limit_type) == (0.4, 640, "max")
    assert settings.thresh == DetectorSettings().thresh


def test_each_stage_takes_its_own() -> None:
    det, read, track, gate = split_settings(
        {"thresh": 0.2, "min_score": 0.1, "max_gap": 3.0, "full_look": 2.0}
    )
    assert gate == {"full_look": 2.0}
    assert (det, read, track) == ({"thresh": 0.2}, {"min_score": 0.1}, {"max_gap": 3.0})
    with pytest.raises(SettingError, match=r"no setting 'treshold'; there are thresh, "):
        split_settings({"treshold": 1})


def test_no_name_belongs_to_two_stages() -> None:
    names = [n for kind in (DetectorSettings, ReadSettings, TrackSettings) for n in kind.names()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("shape", "held"), [((20, 60), True), ((40, 60), True), ((60, 40), False), ((10, 90), False)]
)
def test_the_shape_of_a_plate(shape: tuple[int, int], held: bool) -> None:
    assert ReadSettings().has_plate_shape(np.zeros((*shape, 3), np.uint8)) == held
