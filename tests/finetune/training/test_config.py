from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge_lpr.architectures.registry import ARCHITECTURES
from edge_lpr.errors import SettingError
from edge_lpr.finetune.training.config import TrainConfig, default_config, load_config


@pytest.mark.parametrize("part", ["det", "rec"])
def test_the_recipes_that_ship(part: str) -> None:
    config = load_config(None, part)  # type: ignore[arg-type]
    assert config.part == part
    assert config.learning_rate == 5e-4
    assert config.augment == "ppocr"
    # A recipe states every setting: what a user prints and changes hides nothing.
    assert set(json.loads(default_config(part))) == set(config.to_json())  # type: ignore[arg-type]


def test_overrides() -> None:
    assert load_config(None, "rec", steps=7).steps == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected an object"),
        ('{"stepz": 1}', "unknown setting 'stepz'"),
        ('{"steps": "many"}', "steps is 'many', must be an integer"),
        ('{"steps": true}', "steps is True, must be an integer"),
        ('{"steps": 0}', "steps is 0, must be an integer ≥ 1"),
        ('{"width": 150}', "width is 150, expected a multiple of 8"),
        ('{"height": 32}', "height is 32, expected 48"),
        ('{"frozen_blocks": 14}', "frozen_blocks is 14, must be an integer from 0 to 13"),
        ('{"learning_rate": 2}', "learning_rate is 2"),
        ('{"precision": "int8"}', "precision is 'int8'"),
        ('{"augment": "imgaug"}', "augment is 'imgaug', expected ppocr or camera"),
        ('{"freeze_batch_norm": 1}', "freeze_batch_norm is 1, expected true or false"),
        ('{"final_learning_rate": 0.5}', "final_learning_rate is 0.5, expected at most learning_rate"),
        ('{"concat_share": 1.5}', "concat_share is 1.5"),
        ('{"part": "det"}', "is for 'det', but `finetune rec`"),
    ],
)
def test_bad_configs_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(text)
    with pytest.raises(SettingError, match=message) as error:
        load_config(file, "rec")
    assert "\n" not in str(error.value)


def test_missing_config(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read"):
        load_config(tmp_path / "no.json", "rec")


def test_a_network_takes_the_input_that_its_table_says() -> None:
    rec = ARCHITECTURES["ch_PP-OCRv3_rec"]
    config = TrainConfig(part="rec")
    assert (config.height, config.width % rec.stride) == (rec.height, 0)
    config.check(rec)
    for other, message in (
        (replace(rec, height=32), "height is 48, expected 32 \\(for ch_PP-OCRv3_rec\\)"),
        (replace(rec, stride=12), "width is 160, expected a multiple of 12 from 64"),
    ):
        with pytest.raises(SettingError, match=message):
            config.check(other)
    with pytest.raises(SettingError, match="frozen_blocks is 17, must be an integer from 0 to 16"):
        TrainConfig(part="det", width=96, height=96, frozen_blocks=17)
    with pytest.raises(SettingError, match="height is 80, expected a multiple of 32 from 96 to 4096"):
        TrainConfig(part="det", width=96, height=80)


def test_part_is_checked() -> None:
    with pytest.raises(SettingError, match="part is 'cls'"):
        TrainConfig(part="cls")  # type: ignore[arg-type]
