from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest

from edge_lpr.architectures.pdparams import load_checkpoint, save_checkpoint
from edge_lpr.datasets.labels import LabelledPlate, Sample
from edge_lpr.errors import ModelError
from edge_lpr.finetune import release
from edge_lpr.finetune.training.config import load_config


def sample(number: int, plates: bool = True) -> Sample:
    return Sample(
        Path(f"{number}.jpg"), (LabelledPlate("皖A12345", None),) if plates else (), "crops", crop=True
    )


def test_every_fourth_is_held_out_and_none_is_in_both() -> None:
    samples = [sample(i, plates=i != 7) for i in range(12)]
    learnt, held = release.split(samples)
    assert [s.path.stem for s in held] == ["3", "11"]
    assert [s.path.stem for s in learnt] == ["0", "1", "2", "4", "5", "6", "7", "8", "9", "10"]


@pytest.mark.parametrize("recipe", ["det-1", "det-2", "rec-1", "rec-2", "rec-3"])
def test_recipes(recipe: str) -> None:
    path = Path(release.__file__).parent / "configs" / f"ship-{recipe}.json"
    assert load_config(path, "det" if recipe.startswith("det") else "rec").batch > 0


def test_average(tmp_path: Path) -> None:
    for name, value in (("a", 1.0), ("b", 3.0)):
        save_checkpoint(tmp_path / f"{name}.pdparams", {"x": np.full((2, 3), value, np.float32)})
    release.average(
        [(tmp_path / "a.pdparams", 0.75), (tmp_path / "b.pdparams", 0.25)], tmp_path / "out.pdparams"
    )
    assert np.allclose(load_checkpoint(tmp_path / "out.pdparams")["x"], 1.5)
    save_checkpoint(tmp_path / "c.pdparams", {"x": np.zeros((3, 3), np.float32)})
    with pytest.raises(ModelError, match="not weights of the same network"):
        release.average(
            [(tmp_path / "a.pdparams", 0.5), (tmp_path / "c.pdparams", 0.5)], tmp_path / "out.pdparams"
        )


def test_the_bundle_tells_how_its_weights_were_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []

    def export(arguments: list[str]) -> int:
        called.append(arguments)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "bundle.json").write_text('{"origin": {"det": {}}}')
        return 0

    monkeypatch.setattr("edge_lpr.cli.main", export)
    for stage, metric in (
        ("det-1", "hmean"),
        ("det-2", "hmean"),
        ("rec-1", "accuracy"),
        ("rec-2", "accuracy"),
        ("rec-3", "accuracy"),
    ):
        folder = tmp_path / "runs" / stage
        folder.mkdir(parents=True)
        (folder / "config.json").write_text('{"steps": 5}')
        rows = [{"step": 1, metric: 0.5}, {"step": 2, metric: 0.75}]
        (folder / "history.json").write_text(json.dumps({"loss": [], "metrics": rows}))
    assert release.make_bundle(tmp_path / "runs", tmp_path / "out") == 0
    manifest = json.loads((tmp_path / "out" / "bundle.json").read_text(encoding="utf-8"))
    assert manifest["origin"]["made"]["det-2"] == {
        "config": {"steps": 5},
        "held_out": {"step": 2, "hmean": 0.75},
    }
    assert manifest["origin"]["made"]["rec-3"]["held_out"]["accuracy"] == 0.75
    assert called[0][0] == "export"


def test_missing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["bundle", "--runs", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_stages_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="needs PyTorch: pip install 'edge-lpr[finetune]'")
    from edge_lpr.architectures.torch_networks import DetNetwork, RecNetwork, weights_of
    from edge_lpr.finetune.training import config
    from edge_lpr.finetune.training.rec import HEAD_CHARSET

    runs, data = tmp_path / "runs", tmp_path / "data"
    (runs / "general").mkdir(parents=True)
    data.mkdir()
    save_checkpoint(runs / "general" / "det.pdparams", weights_of(DetNetwork()))
    save_checkpoint(runs / "general" / "rec.pdparams", weights_of(RecNetwork(len(HEAD_CHARSET) + 1)))
    (runs / "general" / "rec_keys.txt").write_text("\n".join(HEAD_CHARSET) + "\n", encoding="utf-8")
    points = [[10, 10], [90, 10], [90, 35], [10, 35]]
    label = json.dumps([{"transcription": "皖A12345", "points": points}])
    for i in range(4):
        cv2.imwrite(str(data / f"{i}.png"), np.full((60, 120, 3), 40 * i, np.uint8))
    (data / "det.txt").write_text("".join(f"{i}.png\t{label}\n" for i in range(4)), encoding="utf-8")

    def short(path: Path, part: Literal["det", "rec"]) -> config.TrainConfig:
        small = {"width": 96, "height": 96} if part == "det" else {"width": 64}
        return replace(load_config(path, part), steps=1, batch=1, workers=0, **small)

    monkeypatch.setattr(config, "load_config", short)
    assert release.main(["train", "--data", str(data), "--out", str(runs)]) == 0
    final = load_checkpoint(runs / "rec" / "final.pdparams")
    ends = [load_checkpoint(runs / f"rec-{n}" / "latest.pdparams") for n in (2, 3)]
    name = "head.ctc_head.fc.weight"
    assert np.allclose(final[name], (ends[0][name] + ends[1][name]) / 2, atol=1e-6)
    assert (runs / "det" / "final.pdparams").is_file()
    assert (runs / "rec" / "keys.txt").read_text(encoding="utf-8").endswith("<other>\n")


def test_held_out_figures(shared_data: Path) -> None:
    for package in ("shapely", "onnxruntime"):
        pytest.importorskip(package, reason=f"needs {package}: pip install 'edge-lpr[calib,cpu]'")
    lines = release.held_out([shared_data / "ccpd"], None).splitlines()
    assert lines[0].startswith("ccpd: 6 plates in scenes, recall ")
    assert lines[-1].startswith("all: plates cut out, ")
