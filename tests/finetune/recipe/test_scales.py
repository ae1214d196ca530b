"""Several sizes of lines, as PaddleOCR's sampler has them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers.extras import reason
from helpers.ppocr_configs import REC, REC_MOBILE

pytest.importorskip("yaml", reason=reason("yaml", "finetune"))

from edge_lpr.errors import SettingError
from edge_lpr.finetune.recipe.config import TrainConfig, read_config
from edge_lpr.finetune.recipe.document import override, parse_document
from edge_lpr.finetune.recipe.node import Node, Told
from edge_lpr.finetune.recipe.scales import Scale, places, read_sampler

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "paddleocr_sampler.json").read_bytes())
SCALES = "Train.sampler.scales"


def read(text: str, *changes: str) -> TrainConfig:
    document = parse_document(text, "rec.yml")
    override(document, changes)
    return read_config(document, "rec", "rec.yml")


@pytest.mark.parametrize("one", GOLDEN, ids=lambda one: f"{one['sampler']['scales']}-{one['lines']}")
def test_batches_are_those_of_paddleocrs_sampler(one: dict[str, Any]) -> None:
    sampler = read_sampler(Node({"name": "MultiScaleSampler", **one["sampler"]}, "Train.sampler", Told()))
    made = [Scale(*size) for size in one["sizes"]]  # in the random order that is PaddleOCR's
    assert Counter(sampler.sizes(one["lines"])) == Counter(made)
    assert places(made, one["lines"]) == one["places"]


def test_the_mobile_recognizer_of_v4_and_v5_is_read_as_it_is() -> None:
    config = read(REC_MOBILE)
    assert config.network.names == ("PP-OCRv4_mobile_rec",)
    data = config.rec
    assert (data.width, data.height, data.padding) == (320, 48, True)  # that is what is measured in
    assert data.sampler is not None
    assert data.sampler.scales == (Scale(320, 32, 128), Scale(320, 48, 85), Scale(320, 64, 64))
    assert config.sized(1000).epoch_steps == 12
    one = read(REC_MOBILE, f"{SCALES}=[[320,48]]").rec
    assert (one.batch, one.width, one.height, one.sampler) == (128, 320, 48, None)


@pytest.mark.parametrize(
    ("text", "changes", "message"),
    [
        (REC_MOBILE, (f"{SCALES}=320",), r"scales is 320, expected a list of sizes, each \[width, height\]"),
        (REC_MOBILE, (f"{SCALES}=[[320,48],[320,5000]]",), r"expected sides from 1 to 4096 pixels"),
        (REC_MOBILE, (f"{SCALES}=[[320,48],[320,8]]",), r"expected sides from divided_factor, 8 and 16"),
        (
            REC_MOBILE,
            (f"{SCALES}=[[320,48],[20,32]]",),
            r"scales: width 16, expected a multiple of 8 from 64",
        ),
        (
            REC_MOBILE,
            (f"{SCALES}=[[320,48],[320,40]]", "Train.sampler.divided_factor=[8,8]"),
            r"scales: height 40, expected a multiple of 16",
        ),
        (
            REC,
            ("Train.sampler={name: MultiScaleSampler, scales: [[320,32],[320,48]]}",),
            r"scales: height 32, expected 48, the only height of ch_PP-OCRv3_rec",
        ),
        (REC_MOBILE, ("Train.sampler.name=Other",), r"sampler\.name is 'Other', not supported"),
        (REC_MOBILE, ("Train.dataset.ds_width=true",), r"ds_width is True, not supported; set it to false"),
    ],
)
def test_sizes_that_cannot_be_trained(text: str, changes: tuple[str, ...], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        read(text, *changes)
