"""The recipe of record, and the walk through it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.extras import reason

pytest.importorskip("yaml", reason=reason("yaml", "finetune"))

from edge_lpr.architectures.pdparams import load_checkpoint, save_checkpoint
from edge_lpr.errors import ModelError
from edge_lpr.finetune import release, stages
from edge_lpr.finetune.recipe.config import TrainConfig, read_config
from edge_lpr.finetune.recipe.document import default_document, read_document


def runs_of(recipe: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (part, step)
        for part in release.TRAINED
        for step in recipe["parts"][part]["steps"]
        if step["do"] == "finetune"
    ]


REC_ALONE = {"concat_share", "slanted_share", "mirrored_share", "cut_share"}


def flat(config: TrainConfig, names: Iterable[str]) -> dict[str, Any]:
    """What the bundle that ships says of a run: the settings as they were called then."""
    named: dict[str, Any] = {
        "part": config.part,
        "steps": config.steps,
        "batch": config.data.batch,
        "width": config.data.width,
        "height": config.data.height,
        "learning_rate": config.optimizer.schedule.learning_rate,
        "weight_decay": config.optimizer.factor,
        "clip_norm": config.optimizer.clip_norm_global,
        "augment": "camera" if config.own.camera else "ppocr",
        "concat_share": 0.0,
        "precision": config.precision,
        "evaluate_every": config.evaluate_every,
        "seed": config.seed,
        "workers": config.data.workers,
    }
    return {name: named[name] if name in named else getattr(config.own, name) for name in names}


def settings_of(recipe: dict[str, Any], step: dict[str, Any]) -> dict[str, Any]:
    """What a run of the detector sets otherwise than configs/det.yml, as bundles tell it now."""
    run = stages.stage_config(recipe, "slim", step).effective
    base = read_config(default_document("det"), "det", "configs/det.yml").effective
    return {key: run.get(key) for key in {*base, *run} if run.get(key) != base.get(key)}


def test_the_recipe() -> None:
    recipe = stages.load_recipe()
    runs = runs_of(recipe)
    assert tuple(recipe["parts"]) == release.TRAINED
    outs = ["det-1", "det-2", "rec-1", "rec-2", "rec-3", "slim-1", "slim-2", "slim-3"]
    assert [step["out"] for _, step in runs] == outs
    # What the bundle that ships says of its runs.
    made = json.loads((files("edge_lpr") / "bundles/default/bundle.json").read_text(encoding="utf-8"))[
        "origin"
    ]
    for part, step in runs:
        told = made["made"][step["out"]]["config"]
        if part == "slim":
            assert told == settings_of(recipe, step)
            continue
        told = {name: value for name, value in told.items() if part == "rec" or name not in REC_ALONE}
        assert flat(stages.stage_config(recipe, part, step), told) == told
    names = ("det.pdparams", "rec.pdparams", "rec_keys.txt")
    there = {f"{folder}/{name}" for folder in recipe["general"] for name in names}
    for part in release.TRAINED:
        steps = recipe["parts"][part]["steps"]
        assert {recipe["parts"][part].get("teacher")} - {None} <= there
        for step in steps:
            needed = {step.get("start"), step.get("dictionary"), *step.get("shares", ())} - {None}
            assert needed <= there, step
            assert sum(step.get("shares", {"": 1}).values()) == pytest.approx(1)
            out = step["out"]
            ends = ("latest.pdparams", "keys.txt", "charset.txt")
            there |= {f"{out}/{end}" for end in ends} if step["do"] == "finetune" else {out}
        assert {p for p in recipe["export"]["files"].values() if p.startswith(part)} <= there
        assert f"{part}/final.pdparams" in there


def test_what_a_part_begins_with() -> None:
    recipe = stages.load_recipe()
    assert stages.inputs(recipe, "det") == [Path("general/det.pdparams")]
    assert stages.inputs(recipe, "rec") == [Path("general-v4/rec.pdparams"), Path("general-v4/rec_keys.txt")]
    assert stages.inputs(recipe, "slim") == [Path("det/final.pdparams")]
    assert [stages.kind(recipe, part) for part in release.TRAINED] == ["det", "rec", "det"]


def test_average(tmp_path: Path) -> None:
    for name, value in (("a", 1.0), ("b", 3.0)):
        save_checkpoint(tmp_path / f"{name}.pdparams", {"x": np.full((2, 3), value, np.float32)})
    a, b, c, out = (tmp_path / f"{name}.pdparams" for name in ("a", "b", "c", "out"))
    stages.average({a: 0.75, b: 0.25}, out)
    assert np.allclose(load_checkpoint(out)["x"], 1.5)
    save_checkpoint(c, {"x": np.zeros((3, 3), np.float32)})
    with pytest.raises(ModelError, match="not weights of the same network"):
        stages.average({a: 0.5, c: 0.5}, out)


def test_the_stages_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason=reason("torch", "finetune"))
    from edge_lpr.architectures.registry import ARCHITECTURES, identify
    from edge_lpr.architectures.torch_builder import TorchNetwork, weights_of
    from edge_lpr.finetune.training.rec import HEAD_CHARSET

    runs, data = tmp_path / "runs", tmp_path / "data"
    for folder in stages.load_recipe()["general"]:
        (runs / folder).mkdir(parents=True)
    data.mkdir()
    save_checkpoint(
        runs / "general" / "det.pdparams", weights_of(TorchNetwork(ARCHITECTURES["ch_PP-OCRv3_det"]))
    )
    rec = TorchNetwork(ARCHITECTURES["PP-OCRv4_mobile_rec"], len(HEAD_CHARSET) + 1)
    save_checkpoint(runs / "general-v4" / "rec.pdparams", weights_of(rec))
    (runs / "general-v4" / "rec_keys.txt").write_text("\n".join(HEAD_CHARSET) + "\n", encoding="utf-8")
    points = [[10, 10], [90, 10], [90, 35], [10, 35]]
    label = json.dumps([{"transcription": "皖A12345", "points": points}])
    for i in range(4):
        cv2.imwrite(str(data / f"{i}.png"), np.full((60, 120, 3), 40 * i, np.uint8))
    (data / "det.txt").write_text("".join(f"{i}.png\t{label}\n" for i in range(4)), encoding="utf-8")

    recipe = stages.load_recipe()
    for part, step in runs_of(recipe):
        sizes = {"Train.dataset.transforms.EastRandomCropData.size": [96, 96]}
        if part == "rec":
            sizes = {
                f"{s}.dataset.transforms.RecResizeImg.image_shape": [3, 48, 64] for s in ("Train", "Eval")
            }
        step["set"] |= {"Global.epoch_num": 1, "EdgeLPR.steps_per_epoch": 1, "EdgeLPR.threads": 0, **sizes}
        step["set"] |= {"Train.loader.batch_size_per_card": 1, "Train.loader.num_workers": 0}
    monkeypatch.setattr(stages, "load_recipe", lambda: recipe)
    assert release.main(["train", "--data", str(data), "--out", str(runs)]) == 0
    final = load_checkpoint(runs / "rec" / "final.pdparams")
    ends = [load_checkpoint(runs / f"rec-{n}" / "latest.pdparams") for n in (2, 3)]
    name = "head.ctc_head.fc.weight"
    assert np.allclose(final[name], (ends[0][name] + ends[1][name]) / 2, atol=1e-6)
    assert (runs / "det" / "final.pdparams").is_file()
    assert (runs / "rec" / "keys.txt").read_text(encoding="utf-8").endswith("<unknown>\n")

    slim = load_checkpoint(runs / "slim" / "final.pdparams")
    assert identify(slim, "det", "slim").architecture.name == "slim_det"
    config = read_document(runs / "slim-2" / "config.yml")
    assert config["EdgeLPR"]["teacher"] == str(runs / "det" / "final.pdparams")
    capsys.readouterr()
    assert release.main(["bundle", "--runs", str(runs)]) == 0
    told = json.loads((runs / "origin.json").read_text(encoding="utf-8"))["made"]
    assert {"slim-1", "slim-2", "rec-1"} <= set(told) and "det-1" not in told
    teacher = (runs / "det" / "final.pdparams").read_bytes()
    assert told["teacher"] == {"sha256": hashlib.sha256(teacher).hexdigest()}
    assert f"--det {runs / 'slim' / 'final.pdparams'} " in capsys.readouterr().out
    assert release.main(["bundle", "--runs", str(runs), "--detector", "det"]) == 0
    told = json.loads((runs / "origin.json").read_text(encoding="utf-8"))["made"]
    assert {"det-1", "det-2", "rec-1"} <= set(told) and not {"slim-1", "teacher"} & set(told)
    assert f"--det {runs / 'det' / 'final.pdparams'} " in capsys.readouterr().out


@pytest.mark.parametrize("font", ["no-such-font.ttc", "keys.txt"])
def test_what_a_later_part_begins_with_is_looked_for_before_the_first_one_trains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, font: str
) -> None:
    pytest.importorskip("torch", reason=reason("torch", "finetune"))
    monkeypatch.chdir(tmp_path)
    Path("general").mkdir()
    Path("general/det.pdparams").touch()
    words = ["train", "--data", "pictures", "--out", ".", "--part", "rec", "--part", "det"]
    assert release.main(words) == 2
    assert "general-v4: holds no rec.pdparams; write the general weights with" in capsys.readouterr().err
    Path("general-v4").mkdir()
    Path("general-v4/rec.pdparams").touch()
    Path("general-v4/rec_keys.txt").write_text("京\nA\n", encoding="utf-8")
    Path("keys.txt").touch()
    assert release.main([*words, "--font", font]) == 2
    assert f"{font}: cannot be read as a font" in capsys.readouterr().err
    # Its teacher is made by the part before it, in whatever order the two are named.
    assert release.main(["train", "--data", "pictures", "--out", ".", "--part", "slim", "--part", "det"]) == 2
    assert capsys.readouterr().err == (
        "release: pictures: no such file or folder; give a label file or a folder of labelled images\n"
    )


def test_missing_general_weights_name_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = tmp_path / "my runs"
    assert release.main(["train", "--data", str(tmp_path), "--out", str(runs)]) == 2
    error = capsys.readouterr().err
    command = f"edge-lpr export --pretrained '{runs / 'general'}' --family PP-OCRv3"
    assert error.endswith(f"write the general weights with: {command}\n")
    assert error.count("\n") == 1


def test_a_missing_teacher_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["train", "--data", str(tmp_path), "--out", str(tmp_path), "--part", "slim"]) == 2
    error = capsys.readouterr().err
    assert f"{tmp_path / 'det'}: holds no final.pdparams; train it first, with --part det, or copy" in error
    assert "finetune/weights/det.pdparams there" in error and error.count("\n") == 1
