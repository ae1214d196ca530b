"""inference.yml: what PaddleOCR and PaddleX put beside an inference model."""

from pathlib import Path

import pytest
from helpers.extras import reason

from edge_lpr.errors import ModelError
from edge_lpr.export.inference_yml import InferenceConfig, read_inference_yml

pytest.importorskip("yaml", reason=reason("yaml", "export"))

DET = """
Global: {model_name: PP-OCRv5_mobile_det}
PreProcess:
  transform_ops:
  - DecodeImage: {channel_first: false, img_mode: BGR}
  - DetLabelEncode: null
  - DetResizeForTest: {resize_long: 960}
  - NormalizeImage: {mean: [0.485, 0.456, 0.406], order: hwc, scale: 1./255., std: [0.229, 0.224, 0.225]}
  - ToCHWImage: null
PostProcess: {name: DBPostProcess, thresh: 0.3, box_thresh: 0.6, max_candidates: 1000, unclip_ratio: 1.5}
"""
REC = """
PreProcess:
  transform_ops:
  - RecResizeImg: {image_shape: [3, 48, 320]}
PostProcess:
  name: CTCLabelDecode
  character_dict: ['京', "'", '0', 7, ' ']
"""


def read(tmp_path: Path, text: str) -> InferenceConfig:
    file = tmp_path / "inference.yml"
    file.write_text(text, encoding="utf-8")
    return read_inference_yml(file)


def test_detection(tmp_path: Path) -> None:
    found = read(tmp_path, DET)
    assert found.name == "PP-OCRv5_mobile_det"
    assert found.det_size == {"limit_side_len": 960, "limit_type": "max"}
    assert (found.mean, found.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert found.postprocess == {
        "thresh": 0.3, "box_thresh": 0.6, "max_candidates": 1000, "unclip_ratio": 1.5,
    }  # fmt: skip
    assert found.charset is None


def test_recognition(tmp_path: Path) -> None:
    found = read(tmp_path, REC)
    assert found.charset == ("京", "'", "0", "7", " ")
    assert found.rec_shape == (48, 320)


def test_none_and_nothing_in_it(tmp_path: Path) -> None:
    assert read_inference_yml(tmp_path / "inference.yml") == InferenceConfig()
    assert read(tmp_path, "") == InferenceConfig()
    assert read(tmp_path, "- 1\n- 2\n") == InferenceConfig()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1", "not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]", "not valid YAML"),
        ("PostProcess: {character_dict: abc}", "expected a list"),
        ("PostProcess: {thresh: .nan}", "nan, which is no finite number"),
        (REC.replace("48, 320", "48, -1"), "expected .3, height, width."),
        (DET.replace("960", "7"), "expected 32 to 8192"),
        (DET.replace("0.229", "0"), "expected three numbers"),
    ],
)
def test_bad_values(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        read(tmp_path, text)


def test_an_alias_stands_for_what_it_repeats(tmp_path: Path) -> None:
    # As PaddleX writes what two back ends have in common.
    found = read(tmp_path, "Hpi: {a: &id001 {x: [1, 2]}, b: *id001}\nGlobal: {model_name: m}\n")
    assert found.name == "m"


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB + "PostProcess: {character_dict: *a7}\n", "more than 200000 values"),
        ("a: &a [*a]\n", r"the alias \*a stands within what it repeats"),
        ("a: &a {b: {c: *a}}\n", r"the alias \*a stands within"),
        ("a: " + "[" * 100 + "]" * 100, "more than 64 levels in each other"),
        ("a: " + "[" * 100_000, "more than 64 levels in each other"),
        ("PostProcess: {thresh: " + "9" * 400 + "}", "an integer of more than 64 bits"),
        ("PostProcess: {thresh: " + "9" * 5000 + "}", "not valid YAML"),
        ("PostProcess: {thresh: 0x" + "f" * 5000 + "}", "an integer of more than 64 bits"),
        ("PostProcess: {thresh: .inf}", "inf, which is no finite number"),
        ("PostProcess: {thresh: 1.0e+999}", "inf, which is no finite number"),
        ("a: !!python/object/apply:os.system [ls]", "the type tag:yaml.org,2002:python/object"),
        ("a: !!timestamp x", "the type tag:yaml.org,2002:timestamp, expected plain values"),
        ("a: !x y", "the type !x, expected plain values"),
        ("a: 2001-99-99", "not valid YAML"),
        ("a: [", "at line"),
        ("a: *b", "undefined alias"),
        ("? [a]\n: b", "unhashable"),
        ("\x00", "not valid YAML"),
        (
            "PreProcess: {transform_ops: 7}\nPostProcess: {thresh: [" + "1, " * 1000 + "1]}",
            r"thresh is .*\.\.\.",
        ),
    ],
)
def test_what_is_beyond_bounds_is_one_short_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as error:
        read(tmp_path, text)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400 + len(str(tmp_path))


def test_a_large_dictionary_is_read(tmp_path: Path) -> None:
    characters = "".join(f"  - {chr(0x4E00 + i)}\n" for i in range(3000))
    found = read(tmp_path, f"PostProcess:\n  character_dict:\n{characters}")
    assert found.charset is not None and len(found.charset) == 3000
