"""One run, from files to files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.extras import reason

torch = pytest.importorskip("torch", reason=reason("torch", "finetune"))

from edge_lpr.architectures.pdparams import load_checkpoint, save_checkpoint  # noqa: E402
from edge_lpr.architectures.registry import ARCHITECTURES  # noqa: E402
from edge_lpr.architectures.torch_builder import TorchNetwork, weights_of  # noqa: E402
from edge_lpr.errors import InputError, ModelError, SettingError  # noqa: E402
from edge_lpr.finetune.training import rec, run  # noqa: E402
from edge_lpr.finetune.training.config import TrainConfig, load_config  # noqa: E402
from edge_lpr.finetune.training.rec import HEAD_CHARSET, UNKNOWN_LINE  # noqa: E402
from edge_lpr.finetune.training.run import RunFiles, cut_checkpoint, finetune  # noqa: E402

CONFIG = TrainConfig("rec", steps=2, batch=2, width=64, workers=0, evaluate_every=1)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    """A recognizer of plate characters and three others."""
    folder = tmp_path_factory.mktemp("start")
    torch.manual_seed(0)
    characters = [*HEAD_CHARSET, "@", "#", "%"]
    network = TorchNetwork(ARCHITECTURES["ch_PP-OCRv3_rec"], len(characters) + 1)
    save_checkpoint(folder / "rec.pdparams", weights_of(network))
    (folder / "keys.txt").write_text("\n".join(characters) + "\n", encoding="utf-8")
    return RunFiles(folder / "rec.pdparams", folder / "keys.txt")


def test_a_run_writes_its_files(start: RunFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rec, "_RENDERED_CROPS", 2)
    seen: list[int] = []
    history = finetune(CONFIG, start, tmp_path / "run", report=lambda r: seen.append(r.step))
    assert seen == [1, 2]
    assert [row["step"] for row in history["metrics"]] == [0, 1, 2]
    assert json.loads((tmp_path / "run" / "history.json").read_text(encoding="utf-8")) == history
    assert load_config(tmp_path / "run" / "config.json", "rec") == CONFIG
    keys = (tmp_path / "run" / "keys.txt").read_text(encoding="utf-8").splitlines()
    assert keys == [*HEAD_CHARSET, UNKNOWN_LINE]
    assert (tmp_path / "run" / "charset.txt").read_text(encoding="utf-8").splitlines() == keys[:-1]
    assert (tmp_path / "run" / "run.png").read_bytes().startswith(b"\x89PNG")
    weight = load_checkpoint(tmp_path / "run" / "latest.pdparams")["head.ctc_head.fc.weight"]
    assert weight.shape[1] == len(keys) + 1


def test_a_run_needs_something_to_train_on(start: RunFiles, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="nothing to train on: give labelled images with --ccpd"):
        finetune(CONFIG, replace(start, render=False), tmp_path)
    with pytest.raises(SettingError, match="--dict is missing"):
        finetune(CONFIG, replace(start, dictionary=None), tmp_path)
    (tmp_path / "no.ttf").write_bytes(b"no font")
    with pytest.raises(InputError, match="cannot be read as a font"):
        finetune(CONFIG, replace(start, font=tmp_path / "no.ttf"), tmp_path)
    assert not (tmp_path / run.CONFIG).exists()


def test_a_head_is_cut_to_what_a_run_begins_with(start: RunFiles, tmp_path: Path) -> None:
    assert start.dictionary is not None
    cut_checkpoint(start.pretrained, start.dictionary, tmp_path / "cut.pdparams")
    whole, cut = load_checkpoint(start.pretrained), load_checkpoint(tmp_path / "cut.pdparams")
    name = "head.ctc_head.fc.weight"
    assert cut[name].shape[1] == len(HEAD_CHARSET) + 2
    assert np.array_equal(cut[name][:, :-1], whole[name][:, : len(HEAD_CHARSET) + 1])
    assert all(np.array_equal(cut[n], whole[n]) for n in whole if ".fc." not in n)
    (tmp_path / "few.txt").write_text("A\nB\n")
    with pytest.raises(ModelError, match="give the dictionary that it was trained with"):
        cut_checkpoint(start.pretrained, tmp_path / "few.txt", tmp_path / "no.pdparams")
    assert not (tmp_path / "no.pdparams").exists()
