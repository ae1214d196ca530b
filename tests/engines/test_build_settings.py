from __future__ import annotations

from dataclasses import replace

import pytest

from edge_lpr.engines.build_settings import BuildSettings, known_names
from edge_lpr.errors import SettingError


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"workspace": 1}, "workspace is 1, must be an integer from 16 to"),
        ({"optimization_level": 6}, "optimization_level is 6, must be an integer from 0 to 5"),
        ({"dla": 9, "batches": (1,), "det_sizes": ("64x64",)}, "dla is 9, must be an integer from 0 to 7"),
        ({"dla": 0}, "--dla takes one fixed shape"),
        ({"dla": 0, "batches": (1,)}, "--dla takes one fixed shape"),
        ({"dla": 0, "hardware_compatible": True}, "--dla and --hardware-compatible"),
    ],
)
def test_settings_out_of_range(changes: dict[str, object], said: str) -> None:
    with pytest.raises(SettingError) as e:
        replace(BuildSettings(), **changes)  # type: ignore[arg-type]
    assert said in str(e.value)


def test_every_setting_is_in_the_flags_or_in_the_profiles() -> None:
    assert set(BuildSettings().flags()) == {*vars(BuildSettings()), "format"} - {
        "batches",
        "det_sizes",
        "frame_sizes",
    }


def test_the_order_of_tactic_sources_is_no_difference() -> None:
    one = BuildSettings(tactic_sources=("JIT_CONVOLUTIONS", "EDGE_MASK_CONVOLUTIONS"))
    other = BuildSettings(tactic_sources=("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS"))
    assert one.flags() == other.flags()


def test_known_names() -> None:
    known = ("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")
    assert known_names(["jit_convolutions", "JIT_CONVOLUTIONS"], known, "--tactic-sources") == (
        "JIT_CONVOLUTIONS",
    )
    with pytest.raises(SettingError, match="--tactic-sources CUDNN: this TensorRT has EDGE_MASK"):
        known_names(["cudnn"], known, "--tactic-sources")
