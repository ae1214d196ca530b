"""Fine-tuning from general weights, long enough to be seen: minutes, so `pytest -m slow` alone runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers.extras import reason

pytestmark = pytest.mark.slow


def command(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "edge_lpr", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pp_ocrv4_is_fine_tuned_from_its_general_weights(tmp_path: Path) -> None:
    for module, extra in (("torch", "finetune"), ("paddle", "export")):  # in processes of the command's
        if find_spec(module) is None:
            pytest.skip(reason(module, extra))
    general, out = tmp_path / "v4", tmp_path / "run"
    command("export", "--pretrained", general, "--family", "PP-OCRv4")
    start = ["--pretrained", general / "rec.pdparams", "--dict", general / "rec_keys.txt"]
    settings = ["Train.loader.batch_size_per_card=4", "EdgeLPR.steps_per_epoch=100", "Global.epoch_num=2"]
    command("finetune", "rec", "--render", *start, "--out", out, "-o", *settings)
    losses = [row["loss"] for row in json.loads((out / "history.json").read_text("utf-8"))["loss"]]
    assert len(losses) >= 10
    begun, ended = sum(losses[:3]) / 3, sum(losses[-3:]) / 3
    assert ended < 0.6 * begun, losses
