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
        ("PostProcess: {thresh: .nan}", "expected a number"),
        (REC.replace("48, 320", "48, -1"), "expected .3, height, width."),
        (DET.replace("960", "7"), "expected 32 to 8192"),
        (DET.replace("0.229", "0"), "expected three numbers"),
    ],
)
def test_bad_values(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        read(tmp_path, text)
