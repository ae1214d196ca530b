from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.extras import reason
from helpers.ppocr_configs import DET as DET_CONFIG

torch = pytest.importorskip("torch", reason=reason("torch", "finetune"))

from edge_lpr.architectures.pdparams import load_checkpoint, save_checkpoint  # noqa: E402
from edge_lpr.architectures.registry import ARCHITECTURES, identify  # noqa: E402
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
    return folder


ONE = ("EdgeLPR.steps_per_epoch=1", "Global.epoch_num=1", "Train.loader.num_workers=0")
REC = ("-o", *ONE, "Train.loader.batch_size_per_card=2", "EdgeLPR.checkpoint_every=1")
SIZE = "Train.dataset.transforms.EastRandomCropData.size=[96,96]"
DET = ("-o", *ONE, "Train.loader.batch_size_per_card=1", SIZE)


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
    arguments += ["--out", out, *REC, "Global.epoch_num=2", "Global.eval_batch_step=[0,2]"]
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
    assert made == weights | {"latest.state", "history.json", "run.png", "config.yml"}
    assert load_checkpoint(out / "best.pdparams")["head.ctc_head.fc.bias"].shape == (len(HEAD_CHARSET) + 2,)
    assert (
        "holds a run already (latest.state); go on with it with --resume, or give another folder with --out"
        in (error_of(capsys, *arguments[1:]))
    )
    assert main([str(a) for a in [*arguments, "--resume"]]) == 0
    # The run keeps its config: nothing else has to be said again.
    assert main(["finetune", "rec", "--resume", "--out", str(out)]) == 0
    told = error_of(capsys, "rec", "--resume", "--out", out, "-o", "Train.loader.batch_size_per_card=3")
    assert "started with Train.loader.batch_size_per_card = 2, the config says 3" in told
    assert "holds no run to go on with (no config.yml)" in error_of(capsys, "rec", "--resume", "--out", start)


def test_an_interrupted_run_says_how_it_goes_on(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge_lpr.finetune.training import rec

    monkeypatch.setattr(rec, "_RENDERED_CROPS", 2)
    step = rec.RecTraining.loss

    def struck(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return step(*arguments)

    monkeypatch.setattr(rec.RecTraining, "loss", struck)
    out = tmp_path / "a run"
    arguments = ["finetune", "rec", "--render", "--pretrained", start / "rec.pdparams"]
    assert (
        main(
            [
                str(a)
                for a in [*arguments, "--dict", start / "keys.txt", "--out", out, *REC, "Global.epoch_num=2"]
            ]
        )
        == 130
    )
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"edge-lpr: interrupted; go on with it: edge-lpr finetune rec --out '{out}' --resume"


def test_weights_that_read_something_are_not_suspected(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge_lpr.finetune.training import rec

    monkeypatch.setattr(rec.RecTraining, "evaluate", lambda *_: {"accuracy": 0.25})
    arguments = ["finetune", "rec", "--render", "--pretrained", start / "rec.pdparams"]
    arguments += ["--dict", start / "keys.txt", "--out", tmp_path / "run", *REC]
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
    ]
    arguments += ["--dict", start / "keys.txt", "--out", tmp_path / "run", *REC]
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


def rendered_det(start: Path, out: Path, *changes: str) -> list[str]:
    """A detector's training on drawn scenes alone."""
    weights = str(start / "det.pdparams")
    return ["finetune", "det", "--render", "--pretrained", weights, "--out", str(out), *DET, *changes]


def test_early_stop_is_said(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge_lpr.finetune.training import det

    monkeypatch.setattr(det.DetTraining, "evaluate", lambda *_: {"hmean": 0.5})
    changes = ["Global.epoch_num=9", "Global.eval_batch_step=1", "EdgeLPR.patience=2"]
    assert main(rendered_det(start, tmp_path, *changes)) == 0
    out = capsys.readouterr().out
    assert "ended early, at step 2: 2 evaluations without a better metric" in out
    assert "best.pdparams: hmean 0.5000 at step 0" in out


def test_a_smaller_detector_learns_from_a_larger_one(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge_lpr.finetune.training import det

    monkeypatch.setattr(det, "_RENDERED_SCENES", 1)
    large, out = start / "det.pdparams", tmp_path / "run"
    arguments = ["det", "--network", "slim_det", "--pretrained", large, "--teacher", large, "--render"]
    arguments += ["--out", out, *DET, "EdgeLPR.frozen_blocks=0", "EdgeLPR.frozen_shared=true"]
    assert main(["finetune", *map(str, arguments)]) == 0
    made, before = load_checkpoint(out / "latest.pdparams"), load_checkpoint(large)
    assert identify(made, "det", "made").architecture.name == "slim_det"
    # What both have has not been trained, what is new has.
    kept, drawn = "backbone.stage2.0.linear_conv.conv.weight", "neck.down.0.bias"
    assert np.array_equal(made[kept], before[kept])
    assert np.abs(made[drawn]).max() > 0
    # The run's own config says all of it; its weights are then gone on with.
    assert main(["finetune", "det", "--resume", "--out", str(out)]) == 0
    further = ["finetune", "det", "--pretrained", out / "latest.pdparams", "--teacher", large, "--render"]
    further += ["--out", tmp_path / "further", *DET, "EdgeLPR.frozen_blocks=0"]
    assert main([str(word) for word in further]) == 0
    again = load_checkpoint(tmp_path / "further" / "latest.pdparams")
    assert not np.array_equal(again[kept], before[kept])
    capsys.readouterr()
    told = error_of(capsys, "det", "--network", "tiny", "--pretrained", large, "--out", tmp_path / "other")
    assert "--network 'tiny': expected one of ch_PP-OCRv3_det, " in told and "slim_det" in told


def test_print_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edge_lpr.finetune.recipe.document import default_document, differences, parse_document

    assert main(["finetune", "det", "--print-config"]) == 0
    assert parse_document(capsys.readouterr().out, "printed") == default_document("det")
    # What is printed is the run that the options describe, and the same when it is given back.
    given = [
        "--ccpd",
        "a",
        "--ccpd",
        "b",
        "--val",
        "v",
        "--render",
        "--pretrained",
        "w",
        "--out",
        "o",
        "--photos",
        "p",
    ]
    assert main(["finetune", "det", *given, "-o", "Global.epoch_num=7", "--print-config"]) == 0
    printed = capsys.readouterr().out
    assert differences(parse_document(printed, "printed"), default_document("det")) == {
        "Global.epoch_num": 7,
        "Global.save_model_dir": "o",
        "Global.pretrained_model": "w",
        "Train.dataset.label_file_list": ["a", "b"],
        "Eval.dataset.label_file_list": ["v"],
        "Eval.dataset.ratio_list": 1.0,
        "EdgeLPR.render": True,
        "EdgeLPR.photos": ["p"],
    }
    (tmp_path / "c.yml").write_text(printed, encoding="utf-8")
    assert main(["finetune", "det", "-c", str(tmp_path / "c.yml"), "--print-config"]) == 0
    assert capsys.readouterr().out == printed
    assert "none.yml: cannot be read" in error_of(capsys, "det", "--print-config", "--config", "none.yml")
    assert "Global is 5, expected a section" in error_of(capsys, "det", "--print-config", "-o", "Global=5")


def test_a_config_of_paddleocr_trains_and_what_has_no_effect_is_told_in_one_line(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    label = '[{"transcription": "皖A12345", "points": [[9, 9], [99, 9], [99, 40], [9, 40]]}]'
    for name, count in (("train/a.txt", 4), ("train/b.txt", 4), ("val.txt", 1)):
        images = Path("train_data", name).with_suffix("")
        images.mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(str(images / f"{i}.png"), image)
        Path(name).parent.mkdir(exist_ok=True)
        lines = [f"{images.relative_to('train_data')}/{i}.png\t{label}\n" for i in range(count)]
        Path(name).write_text("".join(lines), encoding="utf-8")
    Path("pretrain").mkdir()
    Path("pretrain/student.pdparams").write_bytes((start / "det.pdparams").read_bytes())
    Path("student.yml").write_text(DET_CONFIG, encoding="utf-8")
    changes = ["Global.epoch_num=1", "Train.loader.batch_size_per_card=4", "Train.loader.num_workers=0"]
    changes += [SIZE, "Eval.dataset.transforms.DetResizeForTest.limit_side_len=96"]
    assert main(["finetune", "det", "-c", "student.yml", "-o", *changes]) == 0
    notes = capsys.readouterr().err.splitlines()
    idle = [line for line in notes if "without effect here: " in line]
    assert len(idle) == 1 and idle[0].startswith("student.yml: ")
    assert {"Global.use_gpu", "Global.distributed", "Architecture.Head.fix_nan"} <= {
        *idle[0].split(": ")[2].split(", ")
    }
    # Of eight images six are shown, four and half of four, in batches of four: two steps.
    assert notes[-1].startswith("step 2: ")
    assert {"best.pdparams", "latest.pdparams", "config.yml"} <= {
        path.name for path in Path("output/det").iterdir()
    }


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
    assert "holds no run to go on with" in error_of(capsys, *rec, "--render", "--resume")
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "config.yml").write_text("Global: {epoch_num: 1", encoding="utf-8")
    assert "config.yml: not valid YAML" in error_of(capsys, *rec, "--render", "--resume")
    assert main(["finetune", "rec", "--print-config"]) == 0
    (tmp_path / "o" / "config.yml").write_text(capsys.readouterr().out, encoding="utf-8")
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
    arguments = ["finetune", "rec", "--render", "--val", tmp_path, "--out", tmp_path / "run"]
    arguments += ["--pretrained", start / "rec.pdparams", "--dict", start / "keys.txt"]
    assert main([str(a) for a in [*arguments, *REC]]) == 2  # all is done, and something was left out
    out, err = capsys.readouterr()
    assert "best.pdparams: accuracy" in out and (tmp_path / "run" / "best.pdparams").is_file()
    notes = [line for line in err.splitlines() if line.startswith("skipped: ")]
    assert len(notes) == 1
    assert "half.png" in notes[0] and err.endswith("\n1 image could not be read; all else was used\n")
    (tmp_path / "good.png").write_bytes(b"")
    assert main([str(a) for a in [*arguments, "--out", tmp_path / "other", *REC]]) == 2
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
    arguments = ["finetune", "rec", "--ccpd", tmp_path, "--out", tmp_path / "run"]
    arguments += ["--pretrained", start / "rec.pdparams", "--dict", start / "keys.txt", *REC]
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
    assert main(rendered_det(start, tmp_path)) == 0
    arrays = load_checkpoint(tmp_path / "latest.pdparams")
    assert all(np.isfinite(a).all() for a in arrays.values())


def test_without_a_config_the_network_is_that_of_the_weights(
    start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = TorchNetwork(ARCHITECTURES["PP-OCRv4_mobile_det"])
    save_checkpoint(tmp_path / "v4.pdparams", weights_of(network))
    assert main(["finetune", "det", "--print-config", "--pretrained", str(tmp_path / "v4.pdparams")]) == 0
    printed = capsys.readouterr().out
    assert "name: PPLCNetV3" in printed and "MobileNetV3" not in printed
    (tmp_path / "v4.yml").write_text(printed, encoding="utf-8")
    told = error_of(
        capsys,
        "det",
        "--render",
        "-c",
        tmp_path / "v4.yml",
        "--pretrained",
        start / "det.pdparams",
        "--out",
        tmp_path,
    )
    assert "weights of ch_PP-OCRv3_det, but Architecture describes PP-OCRv4_mobile_det" in told
