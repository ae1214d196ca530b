"""One run, from files to files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.extras import reason
from helpers.train_configs import train_config

torch = pytest.importorskip("torch", reason=reason("torch", "finetune"))

from edge_lpr.architectures.pdparams import load_checkpoint, save_checkpoint  # noqa: E402
from edge_lpr.architectures.registry import ARCHITECTURES  # noqa: E402
from edge_lpr.architectures.torch_builder import TorchNetwork, weights_of  # noqa: E402
from edge_lpr.datasets.labels import Sample, load_labels  # noqa: E402
from edge_lpr.errors import InputError, ModelError, SettingError  # noqa: E402
from edge_lpr.finetune.recipe.config import TrainConfig, read_config  # noqa: E402
from edge_lpr.finetune.recipe.document import read_document  # noqa: E402
from edge_lpr.finetune.training import rec, run  # noqa: E402
from edge_lpr.finetune.training.rec import HEAD_CHARSET, UNKNOWN_LINE  # noqa: E402
from edge_lpr.finetune.training.run import (  # noqa: E402
    RunFiles,
    check_folder,
    cut_checkpoint,
    finetune,
    steps_of,
)


def config(**changes: object) -> TrainConfig:
    return train_config("rec", **({"steps": 2, "batch": 2, "width": 64, "evaluate_every": 1} | changes))


CONFIG = config()


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
    assert seen == [0, 1, 2]
    assert [row["step"] for row in history["metrics"]] == [0, 1, 2]
    assert json.loads((tmp_path / "run" / "history.json").read_text(encoding="utf-8")) == history
    assert read_config(read_document(tmp_path / "run" / "config.yml"), "rec", "x") == CONFIG
    keys = (tmp_path / "run" / "keys.txt").read_text(encoding="utf-8").splitlines()
    assert keys == [*HEAD_CHARSET, UNKNOWN_LINE]
    assert (tmp_path / "run" / "charset.txt").read_text(encoding="utf-8").splitlines() == keys[:-1]
    assert (tmp_path / "run" / "run.png").read_bytes().startswith(b"\x89PNG")
    weight = load_checkpoint(tmp_path / "run" / "latest.pdparams")["head.ctc_head.fc.weight"]
    assert weight.shape[1] == len(keys) + 1


def test_a_run_needs_something_to_train_on(start: RunFiles, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="nothing to train on: give labelled images with --ccpd"):
        finetune(config(render=False), start, tmp_path)
    with pytest.raises(SettingError, match="--dict is missing"):
        finetune(CONFIG, replace(start, dictionary=None), tmp_path)
    (tmp_path / "no.ttf").write_bytes(b"no font")
    with pytest.raises(InputError, match="cannot be read as a font"):
        finetune(CONFIG, replace(start, font=tmp_path / "no.ttf"), tmp_path)
    assert not (tmp_path / run.CONFIG).exists()


def test_a_run_does_not_begin_where_another_has_left_its_weights(
    start: RunFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rec, "_RENDERED_CROPS", 2)
    out = tmp_path / "run"
    one = config(steps=1)
    finetune(one, start, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    again = r"run: holds a run already \(latest\.state\); go on with it with --resume, or give another folder"
    with pytest.raises(SettingError, match=again):
        finetune(config(steps=3), start, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    # A finished run has no step left; gone on with, it stays as it is.
    seen: list[int] = []
    finetune(one, start, out, resume=True, report=lambda r: seen.append(r.step))
    assert seen == []
    assert load_checkpoint(out / "best.pdparams").keys() == load_checkpoint(out / "latest.pdparams").keys()
    # Refused for its settings, a resume leaves the run's own: the next one reads them.
    settings = (out / run.CONFIG).read_bytes()
    with pytest.raises(ModelError, match=r"started with Global\.seed = 1, the config says 5"):
        finetune(config(steps=1, seed=5), start, out, resume=True)
    assert (out / run.CONFIG).read_bytes() == settings
    # Where only the weights are kept, there is nothing to go on from.
    for name in ("latest.state", "latest.pdparams", "history.json"):
        (out / name).unlink()
    with pytest.raises(SettingError, match=r"holds a run already \(best\.pdparams\); give another folder"):
        finetune(one, start, out)
    # Settings and dictionary alone are no run.
    (out / "best.pdparams").unlink()
    check_folder(out, resume=False)


def labelled(folder: Path, *texts: str) -> list[Sample]:
    image = np.random.default_rng(0).integers(0, 255, (24, 94, 3), np.uint8)
    for i in range(len(texts)):
        cv2.imwrite(str(folder / f"{i}.png"), image)
    lines = "".join(f"{i}.png\t{text}\n" for i, text in enumerate(texts))
    (folder / "rec.txt").write_text(lines, encoding="utf-8")
    return load_labels([folder]).samples


def test_labelled_plates_alone_need_no_validation(
    start: RunFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rec, "_RENDERED_CROPS", 3)
    files = replace(start, labelled=labelled(tmp_path, "皖A12345"))
    history = finetune(config(steps=1, render=False), files, tmp_path / "run")
    assert [row["step"] for row in history["metrics"]] == [0, 1]
    assert all(0 <= row["accuracy"] <= 1 and row["loss"] > 0 for row in history["metrics"])


def test_labels_that_no_reading_is_long_enough_for_are_counted(
    start: RunFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rec, "_RENDERED_CROPS", 3)
    # Width 64 makes 8 steps: enough for eight characters, but not where two alike need one between them.
    samples = labelled(tmp_path, "皖AD12345", "皖AD11345", "皖A11123", "皖A12345皖A", "###")
    taken: list[list[str]] = []
    trained = rec.RecTraining

    def spy(*args: object, **kwargs: object) -> rec.RecTraining:
        task = trained(*args, **kwargs)  # type: ignore[arg-type]
        taken.append([text for _, text, _ in task.samples] + [text for _, text, _ in task.validation])
        return task

    monkeypatch.setattr(run, "RecTraining", spy)
    told: list[str] = []
    files = replace(start, labelled=samples, validation=samples[1:2])
    finetune(config(steps=1), files, tmp_path / "run", notify=told.append)
    long = "longer than the 8 steps of a reading at this width, the first '皖AD11345'"
    assert told == [f"3 labels {long}: left out of the training", f"--val: 1 label {long}: counted as wrong"]
    assert taken == [["皖AD12345", "皖AD11345"]]


@pytest.mark.parametrize("width", [64, 160, 320])
def test_a_reading_has_as_many_steps_as_the_network_returns(width: int) -> None:
    architecture = ARCHITECTURES["ch_PP-OCRv3_rec"]
    network = TorchNetwork(architecture, 5).eval()
    with torch.no_grad():
        returned = network(torch.zeros((1, 48, width, 3), dtype=torch.uint8))
    assert returned.shape[1] == width // architecture.stride
    assert [steps_of(text) for text in ("", "皖A", "皖AA", "皖AAA11", "甲乙")] == [0, 2, 4, 10 - 1, 3]


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
