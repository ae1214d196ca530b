from __future__ import annotations

import json
import shlex
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
from edge_lpr.cli import command_parser
from edge_lpr.errors import ModelError
from edge_lpr.export.settings import load_origin
from edge_lpr.finetune import release
from edge_lpr.finetune.recipe.config import TrainConfig
from edge_lpr.finetune.recipe.document import change, default_document, write_document
from edge_lpr.types import Part


def runs_of(recipe: dict[str, Any]) -> list[tuple[Part, dict[str, Any]]]:
    return [
        (part, step)
        for part in release.PARTS
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


def test_the_recipe() -> None:
    recipe = release.load_recipe()
    runs = runs_of(recipe)
    assert [step["out"] for _, step in runs] == ["det-1", "det-2", "rec-1", "rec-2", "rec-3"]
    # What the bundle that ships says of its runs.
    made = json.loads((files("edge_lpr") / "bundles/default/bundle.json").read_text(encoding="utf-8"))[
        "origin"
    ]
    for part, step in runs:
        told = made["made"][step["out"]]["config"]
        told = {name: value for name, value in told.items() if part == "rec" or name not in REC_ALONE}
        assert flat(release.stage_config(recipe, part, step), told) == told
    for part in release.PARTS:
        steps = recipe["parts"][part]["steps"]
        names = ("det.pdparams", "rec.pdparams", "rec_keys.txt")
        there = {f"{folder}/{name}" for folder in recipe["general"] for name in names}
        for step in steps:
            needed = {step.get("start"), step.get("dictionary"), *step.get("shares", ())} - {None}
            assert needed <= there, step
            assert sum(step.get("shares", {"": 1}).values()) == pytest.approx(1)
            out = step["out"]
            ends = ("latest.pdparams", "keys.txt", "charset.txt")
            there |= {f"{out}/{end}" for end in ends} if step["do"] == "finetune" else {out}
        assert {p for p in recipe["export"]["files"].values() if p.startswith(part)} <= there


def test_average(tmp_path: Path) -> None:
    for name, value in (("a", 1.0), ("b", 3.0)):
        save_checkpoint(tmp_path / f"{name}.pdparams", {"x": np.full((2, 3), value, np.float32)})
    a, b, c, out = (tmp_path / f"{name}.pdparams" for name in ("a", "b", "c", "out"))
    release.average({a: 0.75, b: 0.25}, out)
    assert np.allclose(load_checkpoint(out)["x"], 1.5)
    save_checkpoint(c, {"x": np.zeros((3, 3), np.float32)})
    with pytest.raises(ModelError, match="not weights of the same network"):
        release.average({a: 0.5, c: 0.5}, out)


def test_the_bundle_tells_how_its_weights_were_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for stage, metric in (
        ("det-1", "hmean"),
        ("det-2", "hmean"),
        ("rec-1", "accuracy"),
        ("rec-2", "accuracy"),
        ("rec-3", "accuracy"),
    ):
        folder = tmp_path / "runs" / stage
        folder.mkdir(parents=True)
        document = default_document(stage[:3])
        change(document, "Global.epoch_num", 5)
        change(document, "Global.pretrained_model", "/home/user/w.pdparams")
        change(document, "Train.dataset.transforms.DecodeImage", False)
        (folder / "config.yml").write_text(write_document(document), encoding="utf-8")
        rows = [{"step": 1, metric: 0.5}, {"step": 2, metric: 0.75}]
        (folder / "history.json").write_text(json.dumps({"loss": [], "metrics": rows}))
    runs, out = tmp_path / "runs", tmp_path / "out"
    assert release.main(["bundle", "--runs", str(runs), "--out", str(out)]) == 0
    told = json.loads((runs / "origin.json").read_text(encoding="utf-8"))
    assert set(told) == {"made"}
    assert told["made"]["det-2"] == {
        "config": {"Global.epoch_num": 5},
        "held_out": {"step": 2, "hmean": 0.75},
    }
    assert told["made"]["rec-3"]["held_out"]["accuracy"] == 0.75
    shipped = json.loads((files("edge_lpr") / "bundles/default/bundle.json").read_text(encoding="utf-8"))
    assert set(told["made"]) == set(shipped["origin"]["made"])
    # What is printed is the command, nothing else, and every option is one that it has.
    program, command_name, *words = shlex.split(capsys.readouterr().out)
    assert (program, command_name) == ("edge-lpr", "export")
    args = command_parser("export").parse_args(words)
    assert args.det == runs / "det" / "final.pdparams"
    assert (args.rec_width, args.rec_resize_mode) == ([160], "stretch")
    assert (args.out, args.origin, args.det_max) == (out, runs / "origin.json", 1376)
    assert load_origin(args.origin) == told


@pytest.mark.parametrize("content", ["{", "[]", '{"metrics": []}', '{"metrics": [{"step": 1}]}'])
def test_damaged_runs_are_one_line(tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "det-1").mkdir()
    (tmp_path / "det-1" / "config.yml").write_text(write_document(default_document("det")), encoding="utf-8")
    (tmp_path / "det-1" / "history.json").write_text(content)
    assert release.main(["bundle", "--runs", str(tmp_path)]) == 2
    told = capsys.readouterr()
    assert told.err.startswith(f"release: {tmp_path / 'det-1' / 'history.json'}: ")
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert not (tmp_path / "origin.json").exists()


def test_missing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["bundle", "--runs", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_stages_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason=reason("torch", "finetune"))
    from edge_lpr.architectures.registry import ARCHITECTURES
    from edge_lpr.architectures.torch_builder import TorchNetwork, weights_of
    from edge_lpr.finetune.training.rec import HEAD_CHARSET

    runs, data = tmp_path / "runs", tmp_path / "data"
    for folder in release.load_recipe()["general"]:
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

    recipe = release.load_recipe()
    for part, step in runs_of(recipe):
        sizes = {"Train.dataset.transforms.EastRandomCropData.size": [96, 96]}
        if part == "rec":
            sizes = {
                f"{s}.dataset.transforms.RecResizeImg.image_shape": [3, 48, 64] for s in ("Train", "Eval")
            }
        step["set"] |= {"Global.epoch_num": 1, "EdgeLPR.steps_per_epoch": 1, "EdgeLPR.threads": 0, **sizes}
        step["set"] |= {"Train.loader.batch_size_per_card": 1, "Train.loader.num_workers": 0}
    monkeypatch.setattr(release, "load_recipe", lambda: recipe)
    assert release.main(["train", "--data", str(data), "--out", str(runs)]) == 0
    final = load_checkpoint(runs / "rec" / "final.pdparams")
    ends = [load_checkpoint(runs / f"rec-{n}" / "latest.pdparams") for n in (2, 3)]
    name = "head.ctc_head.fc.weight"
    assert np.allclose(final[name], (ends[0][name] + ends[1][name]) / 2, atol=1e-6)
    assert (runs / "det" / "final.pdparams").is_file()
    assert (runs / "rec" / "keys.txt").read_text(encoding="utf-8").endswith("<unknown>\n")


def test_missing_general_weights_name_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = tmp_path / "my runs"
    assert release.main(["train", "--data", str(tmp_path), "--out", str(runs)]) == 2
    error = capsys.readouterr().err
    command = f"edge-lpr export --pretrained '{runs / 'general'}' --family PP-OCRv3"
    assert error.endswith(f"write the general weights with: {command}\n")
    assert error.count("\n") == 1


def test_held_out_figures(shared_data: Path) -> None:
    pytest.importorskip("rapidfuzz", reason=reason("rapidfuzz", "evaluate"))
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    lines = release.held_out([shared_data / "ccpd"], None).splitlines()
    assert lines[0].startswith("ccpd: 6 plates in scenes, recall ")
    assert lines[-1].startswith("all: plates cut out, ")
