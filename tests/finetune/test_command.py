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
    captured = capsys.readouterr()
    assert "best.pdparams: accuracy" in captured.out
    notes = captured.err.splitlines()
    assert notes[0].startswith("step 0: accuracy 0.0000, free_accuracy 0.0000, loss ")
    # Random weights read nothing right, as do those whose dictionary is in another order.
    assert notes[1].startswith(
        "the weights to start from read nothing right: see that --dict is the dictionary"
    )
    assert notes[2].startswith("step 2: loss ")
    made = {p.name for p in out.iterdir()}
    weights = {"best.pdparams", "latest.pdparams", "keys.txt", "charset.txt"}
    assert made == weights | {"latest.state", "history.json", "run.png", "config.json"}
    assert load_checkpoint(out / "best.pdparams")["head.ctc_head.fc.bias"].shape == (len(HEAD_CHARSET) + 2,)
    assert (
        "holds a run already (latest.state); go on with it with --resume, or give another folder with --out"
        in (error_of(capsys, *arguments[1:]))
    )
    assert main([str(a) for a in [*arguments, "--resume"]]) == 0


def test_weights_that_read_something_are_not_suspected(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge_lpr.finetune.training import rec

    monkeypatch.setattr(rec.RecTraining, "evaluate", lambda *_: {"accuracy": 0.25})
    arguments = ["finetune", "rec", "--render", "--pretrained", start / "rec.pdparams", "--steps", "1"]
    arguments += ["--dict", start / "keys.txt", "--config", start / "rec.json", "--out", tmp_path / "run"]
    assert main([str(a) for a in arguments]) == 0
    error = capsys.readouterr().err
    assert "step 0: accuracy 0.2500\n" in error and "--dict" not in error


def test_labelled_crops_alone_as_people_label_them(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge_lpr.finetune.training import rec

    monkeypatch.setattr(rec, "_RENDERED_CROPS", 2)
    image = np.random.default_rng(0).integers(0, 255, (24, 94, 3), np.uint8)
    (tmp_path / "crop_img").mkdir()
    lines = ["皖a·12345", "待识别", "皖A" + 19 * "1"]
    for i in range(len(lines)):
        cv2.imwrite(str(tmp_path / "crop_img" / f"{i}.png"), image)
    (tmp_path / "rec_gt.txt").write_text(
        "".join(f"crop_img/{i}.png\t{text}\n" for i, text in enumerate(lines))
        + f"crop_img/0.png\t{lines[0]}\n",
        encoding="utf-8",
    )
    arguments = [
        "finetune",
        "rec",
        "--ccpd",
        tmp_path,
        "--pretrained",
        start / "rec.pdparams",
        "--steps",
        "1",
    ]
    arguments += ["--dict", start / "keys.txt", "--config", start / "rec.json", "--out", tmp_path / "run"]
    assert main([str(a) for a in arguments]) == 0
    notes = capsys.readouterr().err.splitlines()
    assert notes[:4] == [
        "1 plate neither learnt nor counted: marked as difficult, or read by nobody",
        "1 label left out: the same was labelled before",
        "no --val: measured on the images that are learnt; how well others are read is not seen",
        f"1 label longer than the 20 steps of a reading at this width, the first {lines[2]!r}: "
        "left out of the training",
    ]


def test_a_folder_of_scenes_and_crops_is_measured_on_its_crops(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_lpr.finetune.training import rec, run

    image = np.random.default_rng(0).integers(0, 255, (60, 160, 3), np.uint8)
    for name in ("scene.png", "crop.png"):
        cv2.imwrite(str(tmp_path / name), image)
    scene = '[{"transcription": "皖A12345", "points": [[9, 9], [99, 9], [99, 40], [9, 40]]}]'
    (tmp_path / "det.txt").write_text(f"scene.png\t{scene}\n", encoding="utf-8")
    (tmp_path / "rec.txt").write_text("crop.png\t皖A12345\n", encoding="utf-8")
    seen: dict[str, list[str]] = {}

    def instead(
        config: object, files: run.RunFiles, *_: object, **__: object
    ) -> dict[str, list[dict[str, float]]]:
        seen["names"] = [sample.path.name for sample in files.validation]
        return {"metrics": [{"step": 10_000.0, "accuracy": 1.0, "hmean": 1.0}]}

    monkeypatch.setattr(run, "finetune", instead)
    for part, names in (("rec", ["crop.png"]), ("det", ["scene.png", "crop.png"])):
        arguments = [
            "finetune",
            part,
            "--render",
            "--pretrained",
            start / f"{part}.pdparams",
            "--val",
            tmp_path,
        ]
        assert main([str(a) for a in [*arguments, "--out", tmp_path / part]]) == 0
        assert seen["names"] == names
    assert rec.RecTraining.metric == "accuracy"


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
    assert main([str(a) for a in arguments]) == 2  # all is done, and something was left out
    out, err = capsys.readouterr()
    assert "best.pdparams: accuracy" in out and (tmp_path / "run" / "best.pdparams").is_file()
    notes = [line for line in err.splitlines() if line.startswith("skipped: ")]
    assert len(notes) == 1
    assert "half.png" in notes[0] and err.endswith("\n1 image could not be read; all else was used\n")
    (tmp_path / "good.png").write_bytes(b"")
    assert main([str(a) for a in [*arguments, "--out", tmp_path / "other"]]) == 2
    assert "--val: none of its 2 images can be read" in capsys.readouterr().err


def test_what_is_no_image_is_not_trained_on(
    start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (24, 94, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "good.png"), image)
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_bytes(b"no image")
    names = ("good", "empty", "text", "gone")
    (tmp_path / "rec.txt").write_text("".join(f"{name}.png\t皖A12345\n" for name in names), encoding="utf-8")
    arguments = ["finetune", "rec", "--ccpd", tmp_path, "--steps", "1", "--out", tmp_path / "run"]
    arguments += ["--config", start / "rec.json"]
    arguments += ["--pretrained", start / "rec.pdparams", "--dict", start / "keys.txt"]
    assert main([str(a) for a in arguments]) == 2
    err = capsys.readouterr().err
    skipped = [line for line in err.splitlines() if line.startswith("skipped: ")]
    assert len(skipped) == 3 and "no image 'gone.png'" in skipped[0]
    assert "empty.png: the file is empty (0 bytes)" in skipped[1] and "text.png: not an image" in skipped[2]
    assert err.endswith("\n3 images could not be read; all else was used\n")


def test_the_detector_trains_on_drawn_scenes(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_lpr.finetune.training import det

    monkeypatch.setattr(det, "_RENDERED_SCENES", 1)
    arguments = ["finetune", "det", "--render", "--pretrained", start / "det.pdparams", "--steps", "1"]
    assert main([str(a) for a in [*arguments, "--config", start / "det.json", "--out", tmp_path]]) == 0
    arrays = load_checkpoint(tmp_path / "latest.pdparams")
    assert all(np.isfinite(a).all() for a in arrays.values())
