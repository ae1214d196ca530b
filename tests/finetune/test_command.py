from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.extras import reason

torch = pytest.importorskip("torch", reason=reason("torch", "finetune"))

from edge_lpr.architectures.pdparams import load_checkpoint, save_checkpoint  # noqa: E402
from edge_lpr.architectures.registry import ARCHITECTURES  # noqa: E402
from edge_lpr.architectures.torch_builder import TorchNetwork, weights_of  # noqa: E402
from edge_lpr.cli import main  # noqa: E402
from edge_lpr.finetune.training.rec import HEAD_CHARSET, UNKNOWN_LINE  # noqa: E402


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    torch.manual_seed(0)
    rec = TorchNetwork(ARCHITECTURES["ch_PP-OCRv3_rec"], len(HEAD_CHARSET) + 2)
    save_checkpoint(folder / "rec.pdparams", weights_of(rec))
    save_checkpoint(folder / "det.pdparams", weights_of(TorchNetwork(ARCHITECTURES["ch_PP-OCRv3_det"])))
    (folder / "keys.txt").write_text("\n".join([*HEAD_CHARSET, UNKNOWN_LINE]) + "\n", encoding="utf-8")
    (folder / "rec.json").write_text('{"batch": 2, "workers": 0, "evaluate_every": 2, "checkpoint_every": 1}')
    (folder / "det.json").write_text('{"batch": 1, "workers": 0, "width": 96, "height": 96}')
    return folder


def error_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["finetune", *map(str, arguments)]) == 2
    text = capsys.readouterr().err.strip()
    assert "\n" not in text
    return text


def test_a_run_and_its_resume(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge_lpr.finetune.training import rec

    monkeypatch.setattr(rec, "_RENDERED_CROPS", 4)
    out = tmp_path / "运行 1"
    arguments = [
        "finetune",
        "rec",
        "--render",
        "--pretrained",
        start / "rec.pdparams",
        "--dict",
        start / "keys.txt",
    ]
    arguments += ["--config", start / "rec.json", "--steps", "2", "--out", out]
    assert main([str(a) for a in arguments]) == 0
    assert "best.pdparams: accuracy" in capsys.readouterr().out
    made = {p.name for p in out.iterdir()}
    weights = {"best.pdparams", "latest.pdparams", "keys.txt", "charset.txt"}
    assert made == weights | {"latest.state", "history.json", "run.png", "config.json"}
    assert load_checkpoint(out / "best.pdparams")["head.ctc_head.fc.bias"].shape == (len(HEAD_CHARSET) + 2,)
    assert main([str(a) for a in [*arguments, "--resume"]]) == 0


def test_early_stop_is_said(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge_lpr.finetune.training import det

    monkeypatch.setattr(det.DetTraining, "evaluate", lambda *_: {"hmean": 0.5})
    text = '{"batch": 1, "workers": 0, "width": 96, "height": 96, "evaluate_every": 1, "patience": 2}'
    (tmp_path / "det.json").write_text(text)
    arguments = ["finetune", "det", "--render", "--pretrained", start / "det.pdparams", "--steps", "9"]
    assert main([str(a) for a in [*arguments, "--config", tmp_path / "det.json", "--out", tmp_path]]) == 0
    out = capsys.readouterr().out
    assert "ended early, at step 2: 2 evaluations without a better metric" in out
    assert "best.pdparams: hmean 0.5000 at step 0" in out


def test_print_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["finetune", "det", "--print-config"]) == 0
    assert '"learning_rate": 0.0005' in capsys.readouterr().out
    assert "none.json: cannot be read" in error_of(capsys, "det", "--print-config", "--config", "none.json")


def test_bad_input_is_one_line(start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rec = [
        "rec",
        "--pretrained",
        start / "rec.pdparams",
        "--dict",
        start / "keys.txt",
        "--out",
        tmp_path / "o",
    ]
    assert "--pretrained is missing" in error_of(capsys, "det", "--render", "--out", tmp_path)
    assert "nothing to train on" in error_of(capsys, *rec)
    assert "no such file or folder" in error_of(capsys, *rec, "--ccpd", tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert "no labelled image in it" in error_of(capsys, *rec, "--ccpd", tmp_path / "empty")
    assert "--dict is missing" in error_of(
        capsys, "rec", "--render", "--pretrained", start / "rec.pdparams", "--out", tmp_path
    )
    assert "--device tpu" in error_of(capsys, *rec, "--render", "--device", "tpu")
    assert "no checkpoint of ch_PP-OCRv3_rec" in error_of(
        capsys,
        "rec",
        "--render",
        "--pretrained",
        start / "det.pdparams",
        "--dict",
        start / "keys.txt",
        "--out",
        tmp_path,
    )
    assert "is missing, so this is no checkpoint of ch_PP-OCRv3_det" in error_of(
        capsys, "det", "--render", "--pretrained", start / "rec.pdparams", "--out", tmp_path
    )
    assert "no checkpoint to resume from" in error_of(capsys, *rec, "--render", "--resume")
    assert "cannot be read as a font" in error_of(capsys, *rec, "--render", "--font", start / "keys.txt")
    (tmp_path / "file").write_text("x")
    # What cannot be written is no bad input.
    assert main(["finetune", *map(str, rec[:-1]), str(tmp_path / "file" / "o"), "--render"]) == 1
    assert "cannot be written (Not a directory)" in capsys.readouterr().err


def test_images_that_are_missing_are_listed(
    start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rec.txt").write_text("gone.png\t皖A12345\n", encoding="utf-8")
    rec = ["rec", "--pretrained", start / "rec.pdparams", "--dict", start / "keys.txt", "--out", tmp_path]
    text = error_of(capsys, *rec, "--ccpd", tmp_path / "rec.txt")
    assert "no image 'gone.png' beside the label file" in text


def test_damaged_images_to_measure_on_are_left_out(
    start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (24, 94, 3), np.uint8)
    for name in ("good.png", "half.png"):
        cv2.imwrite(str(tmp_path / name), image)
    (tmp_path / "half.png").write_bytes((tmp_path / "good.png").read_bytes()[:900])
    (tmp_path / "rec.txt").write_text("good.png\t皖A12345\nhalf.png\t皖A12345\n", encoding="utf-8")
    arguments = ["finetune", "rec", "--render", "--val", tmp_path, "--steps", "1", "--out", tmp_path / "run"]
    arguments += ["--config", start / "rec.json"]
    arguments += ["--pretrained", start / "rec.pdparams", "--dict", start / "keys.txt"]
    assert main([str(a) for a in arguments]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("skipped: ")]
    assert len(notes) == 1
    assert "half.png" in notes[0]
    (tmp_path / "good.png").write_bytes(b"")
    assert main([str(a) for a in arguments]) == 2
    assert "--val: none of its 2 images can be read" in capsys.readouterr().err


def test_the_detector_trains_on_drawn_scenes(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_lpr.finetune.training import det

    monkeypatch.setattr(det, "_RENDERED_SCENES", 1)
    arguments = ["finetune", "det", "--render", "--pretrained", start / "det.pdparams", "--steps", "1"]
    assert main([str(a) for a in [*arguments, "--config", start / "det.json", "--out", tmp_path]]) == 0
    arrays = load_checkpoint(tmp_path / "latest.pdparams")
    assert all(np.isfinite(a).all() for a in arrays.values())
