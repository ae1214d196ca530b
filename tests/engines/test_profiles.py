from __future__ import annotations

from dataclasses import replace

import pytest

from edge_lpr.bundle.manifest import Bundle
from edge_lpr.engines.profiles import MAX_PROFILES, det_sizes, frame_sizes, profiles
from edge_lpr.errors import SettingError
from edge_lpr.pipeline.detector import input_size
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.types import Size


def test_the_default_sizes_are_those_of_a_camera(bundle: Bundle) -> None:
    rules = bundle.det
    assert det_sizes(rules) == ((1600, 896), (896, 1600))
    # PP-OCR's "max" rule with 960 pixels, as its server models have it.
    assert det_sizes(replace(rules, limit_side_len=960, limit_type="max")) == ((960, 544), (544, 960))


@pytest.mark.parametrize("frame", [(1080, 1920), (720, 1280), (1160, 720), (480, 640)])
def test_the_size_advised_is_what_the_detector_makes_of_a_frame(bundle: Bundle, frame: Size) -> None:
    height, width = input_size(bundle.det, DetectorSettings.for_model(bundle.det), *frame)
    assert det_sizes(bundle.det, [f"{width}x{height}"]) == ((height, width),)


def test_sizes_are_sorted_and_each_there_once(bundle: Bundle) -> None:
    assert det_sizes(bundle.det, ["1312x736", "736x736", "1312x736"]) == ((736, 736), (736, 1312))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1280x720", "not multiples of 32 pixels; for frames of 1280x720 give --det-size 1312x736"),
        ("0x32", "not multiples of 32 pixels"),
        ("1632x736", "over this bundle's limit of 1600 pixels"),
        ("736", "expected WIDTHxHEIGHT"),
        ("-32x32", "expected WIDTHxHEIGHT"),
        ("999999x32", "expected WIDTHxHEIGHT"),
    ],
)
def test_a_size_that_will_not_do(bundle: Bundle, text: str, said: str) -> None:
    with pytest.raises(SettingError) as e:
        det_sizes(bundle.det, [text])
    assert said in str(e.value)


def test_frames_have_the_input_that_the_detector_makes_of_them(bundle: Bundle) -> None:
    found = frame_sizes(bundle.det, ["1920x1080", "1080×1920", "1920x1080"])
    assert found == (((1080, 1920), (896, 1600)), ((1920, 1080), (1600, 896)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1312x736", "nothing to resize; give it as --det-size"),
        ("8x1080", "expected sides of 16 to 8192 pixels"),
        ("9000x1080", "expected sides of 16 to 8192 pixels"),
        ("1080p", "expected WIDTHxHEIGHT in pixels, such as 1920x1080"),
    ],
)
def test_a_frame_that_will_not_do(bundle: Bundle, text: str, said: str) -> None:
    with pytest.raises(SettingError) as e:
        frame_sizes(bundle.det, [text])
    assert said in str(e.value)


def test_batches_make_ranges_without_gaps(bundle: Bundle) -> None:
    made = profiles(bundle, "det", (8, 1, 32), ((736, 1312),))
    assert [(p.min[0], p.opt[0], p.max[0]) for p in made] == [(1, 1, 1), (2, 8, 8), (9, 32, 32)]
    for batch in range(1, 33):
        assert sum(p.holds((batch, 736, 1312, 3)) for p in made) == 1
    assert not any(p.holds((33, 736, 1312, 3)) for p in made)


def test_one_batch_takes_all_below_it(bundle: Bundle) -> None:
    (only,) = profiles(bundle, "det", (8,), ((736, 1312),))
    assert (only.min[0], only.opt[0], only.max[0]) == (1, 8, 8)


def test_the_recognizers_sizes_are_the_bundles(bundle: Bundle) -> None:
    wide = replace(bundle, rec=replace(bundle.rec, widths=(160, 320)))
    made = profiles(wide, "rec", (1, 8), ((736, 1312),))
    assert sorted({p.max[1:] for p in made}) == [(48, 160, 3), (48, 320, 3)]
    assert len(made) == 4


@pytest.mark.parametrize("batches", [(), (0,), (-1, 8), (257,)])
def test_batches_out_of_range(bundle: Bundle, batches: tuple[int, ...]) -> None:
    with pytest.raises(SettingError, match="expected sizes from 1 to 256"):
        profiles(bundle, "det", batches, ((736, 1312),))


def test_too_many_profiles(bundle: Bundle) -> None:
    sizes = [(32 * n, 32) for n in range(1, MAX_PROFILES + 2)]
    with pytest.raises(SettingError, match="give fewer --batch or --det-size"):
        profiles(bundle, "det", (1,), sizes)
