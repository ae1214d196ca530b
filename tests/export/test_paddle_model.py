"""Finding and checking Paddle models, without Paddle."""

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.extras import reason

from edge_lpr.architectures.pdparams import save_checkpoint
from edge_lpr.architectures.registry import ARCHITECTURES
from edge_lpr.cli import main
from edge_lpr.errors import BackendError, MissingExtraError, ModelError
from edge_lpr.export import paddle_model
from edge_lpr.export.paddle_model import PaddleModel, open_model

PROGRAM = b'{"ops": [{"#": "1.conv2d"}]}'
WEIGHTS = struct.pack("<IQIi", 0, 0, 0, 4) + b"\x08\x05\x10\x02" + bytes(8)


@pytest.fixture
def inference(tmp_path: Path) -> Path:
    folder = tmp_path / "rec_infer"
    folder.mkdir()
    (folder / "inference.json").write_bytes(PROGRAM)
    (folder / "inference.pdiparams").write_bytes(WEIGHTS)
    return folder


def checkpoint(path: Path, part: str, prefix: str = "", classes: int = 71) -> Path:
    wanted = ARCHITECTURES[f"ch_PP-OCRv3_{part}"].parameters(classes, training=True)
    save_checkpoint(path, {prefix + p.name: np.ones(p.shape, np.float32) for p in wanted})
    return path


@pytest.mark.parametrize("name", ["", "inference.json", "inference.pdiparams", "inference"])
def test_an_inference_model_by_any_of_its_names(inference: Path, name: str) -> None:
    model = open_model(inference / name if name else inference, "rec")
    assert [f.name for f in model.files()] == ["inference.json", "inference.pdiparams"]
    assert model.kind == "inference model"


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("inference.json", b"", "damaged or truncated"),
        ("inference.json", PROGRAM[:-5], "damaged or truncated"),
        ("inference.json", PROGRAM.replace(b"conv2d", b"quantize_linear"), "quantized Paddle model"),
        ("inference.pdiparams", b"", "empty file"),
        ("inference.pdiparams", WEIGHTS[:-1], "ends within array 1"),
        ("inference.yml", b"PostProcess: {thresh: a}", "expected a number"),
    ],
)
def test_damaged_inference_models(inference: Path, name: str, data: bytes, told: str) -> None:
    if name.endswith("yml"):
        pytest.importorskip("yaml", reason=reason("yaml", "export"))
    (inference / name).write_bytes(data)
    with pytest.raises(ModelError, match=told) as caught:
        open_model(inference, "rec")
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named(inference: Path, tmp_path: Path) -> None:
    (inference / "inference.pdiparams").unlink()
    with pytest.raises(ModelError, match=r"no inference\.pdiparams beside it"):
        open_model(inference, "rec")
    with pytest.raises(ModelError, match="no such model"):
        open_model(tmp_path / "none", "det")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="no inference model in it"):
        open_model(tmp_path / "empty", "det")
    with pytest.raises(ModelError, match="name one of them: rec_infer"):
        (inference / "inference.pdiparams").write_bytes(WEIGHTS)
        open_model(tmp_path, "det")
    for name in ("iter_1", "iter_2"):
        (tmp_path / "empty" / f"{name}.pdparams").touch()
    with pytest.raises(ModelError, match=r"iter_2\.pdparams.*name one of them"):
        open_model(tmp_path / "empty", "det")
    best = checkpoint(tmp_path / "empty" / "best_accuracy.pdparams", "det")
    for given in (tmp_path / "empty", tmp_path / "empty" / "best_accuracy"):
        assert open_model(given, "det").source == best
    (tmp_path / "best.pdopt").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"give best\.pdparams"):
        open_model(tmp_path / "best.pdopt", "det")


def test_checkpoints(tmp_path: Path) -> None:
    det = open_model(checkpoint(tmp_path / "d.pdparams", "det"), "det")
    assert len(det.ignored) == 13
    assert all(name.startswith("head.thresh.") for name in det.ignored)
    rec = open_model(checkpoint(tmp_path / "r.pdparams", "rec", "Student."), "rec")
    assert rec.classes == 71
    with pytest.raises(ModelError, match="no branch 'Teacher', only Student"):
        open_model(tmp_path / "r.pdparams", "rec", "Teacher")


def test_one_part_given_as_the_other(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a recognition checkpoint"):
        open_model(checkpoint(tmp_path / "r.pdparams", "rec"), "det")
    with pytest.raises(ModelError, match="it is a detection checkpoint"):
        open_model(checkpoint(tmp_path / "d.pdparams", "det"), "rec")


def test_without_paddle_the_extra_is_named(inference: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paddle_model, "find_spec", lambda name: None)
    model = open_model(inference, "rec")
    with pytest.raises(MissingExtraError, match=r"of the extra 'export', .*: pip install .*\[export\]"):
        model.convert()
    model.close()


def failing(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Lets the worker be a Python of our own that begins and runs `code`, in its work folder."""
    run = subprocess.run

    def instead(command: list[str], **options: object) -> object:
        begun = f"open('started', 'w').close(); {code}"
        return run([sys.executable, "-c", begun], cwd=command[3], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(paddle_model, "find_spec", lambda name: object())
    monkeypatch.setattr(subprocess, "run", instead)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import os; os.kill(os.getpid(), 11)", "ended with SIGSEGV"),
        ("raise SystemExit(3)", "ended with exit code 3"),
        (
            "open('reply.json', 'w').write('{\"failure\": \"InvalidArgument\"}')",
            "cannot use the model: InvalidArgument",
        ),
        ("open('reply.json', 'w').write('{\"error\": \"x: bad\"}')", "^x: bad$"),
    ],
)
def test_a_worker_that_dies_or_fails(
    inference: Path, monkeypatch: pytest.MonkeyPatch, code: str, told: str
) -> None:
    failing(monkeypatch, code)
    model: PaddleModel = open_model(inference, "rec")
    with pytest.raises(ModelError, match=told):
        model.convert()
    model.close()


def test_the_worker_is_this_copys_own_wherever_it_starts(
    inference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Python would take this folder's package, which knows no worker, before any other.
    (tmp_path / "edge_lpr").mkdir()
    (tmp_path / "edge_lpr" / "__init__.py").touch()
    (tmp_path / "paddle.py").write_text("raise ImportError('libgomp.so.1: no such\\nfile')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "first"))
    (tmp_path / "first").mkdir()
    (tmp_path / "paddle.py").rename(tmp_path / "first" / "paddle.py")
    monkeypatch.setattr(paddle_model, "find_spec", lambda name: object())
    model = open_model(checkpoint(tmp_path / "r.pdparams", "rec"), "rec")
    with pytest.raises(BackendError, match=r"Paddle cannot be imported here \(libgomp.* file\): pip install"):
        model.convert()
    model.close()


def test_a_worker_that_cannot_start_is_not_laid_to_the_model(
    inference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paddle_model, "find_spec", lambda name: object())
    monkeypatch.setattr(paddle_model, "_WORKER", "import no_such_module")
    model = open_model(inference, "rec")
    with pytest.raises(BackendError, match=r"could not start \(exit code 1; .*'no_such_module'\): pip"):
        model.convert()
    model.close()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give one of --out"),
        (["--out", "b", "--verify", "c"], "give one of --out"),
        (["--out", "b", "--rec", "r"], "--det is missing"),
        (["--out", "b", "--det", "d"], "--rec is missing"),
        (["--out", "b", "--det", "d", "--rec", "r", "--limit", "0"], "--limit: '0'"),
        (["--out", "b", "--det", "d", "--rec", "r", "--bound", "nan"], "--bound: 'nan'"),
        (["--out", "b", "--det", "d", "--rec", "r", "--rec-width", "9"], "--rec-width: '9'"),
        (["--out", "b", "--det", "d", "--rec", "r", "--det-max", "9"], "--det-max: '9'"),
        (["--out", "b", "--det", "d", "--rec", "r", "--det-box-thresh", "nan"], "--det-box-thresh: 'nan'"),
        (["--out", "b", "--det", "d", "--rec", "r", "--dict", "nokeys.txt"], "nokeys.txt: cannot be read"),
        (["--out", "b", "--det", "d", "--rec", "r", "--images", "nopics"], "nopics: cannot be read"),
        (["--out", "b", "--det", "nodet", "--rec", "r"], "nodet: no such model"),
        (["--verify", "nobundle"], "nobundle: no such folder"),
        (["--out", "b", "--wheel", "w"], "--wheel goes with"),
    ],
)
def test_the_commands_settings(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    assert main(["export", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_a_dictionary_that_does_not_fit_is_told_before_paddle_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    keys = tmp_path / "keys.txt"
    keys.write_text("\n".join(chr(0x4E00 + i) for i in range(69)) + "\n", encoding="utf-8")
    det, rec = (
        checkpoint(tmp_path / "d.pdparams", "det"),
        checkpoint(tmp_path / "r.pdparams", "rec", classes=72),
    )
    arguments = ["--det", str(det), "--rec", str(rec), "--dict", str(keys), "--out", str(tmp_path / "b")]
    assert main(["export", *arguments]) == 2
    error = capsys.readouterr().err
    assert "69 characters" in error
    assert "72 classes" in error


@pytest.mark.parametrize(
    ("lines", "charset", "told"),
    [
        ("京\n津\nA \n1\n", None, "keys.txt: line 3 is a character with a blank beside it"),
        ("京\n津\nA1\n", None, "keys.txt: line 3 is 'A1', 2 characters"),
        ("京\n津\nA1\n", "京\n", "keys.txt: line 3 is 'A1', 2 characters"),
        ("京\n津\nA\n", "京\n  \n", "charset.txt: line 2 is 2 blanks"),
        # What `edge-lpr finetune` writes is a dictionary, but not what texts are made of.
        (
            "京\n津\n<unknown>\n",
            None,
            "keys.txt: line 3 is '<unknown>', which stands for all other characters",
        ),
        ("京\n津\n<unknown>\n", "京\n<unknown>\n", "charset.txt: line 2 is '<unknown>', which stands"),
    ],
)
def test_a_line_that_is_not_one_character_is_named_before_paddle_starts(
    tmp_path: Path, lines: str, charset: str | None, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, which the extra 'cpu' installs")
    (tmp_path / "keys.txt").write_text(lines, encoding="utf-8")
    det = checkpoint(tmp_path / "d.pdparams", "det")
    rec = checkpoint(tmp_path / "r.pdparams", "rec", classes=lines.count("\n") + 1)
    arguments = ["--det", str(det), "--rec", str(rec), "--dict", str(tmp_path / "keys.txt")]
    if charset is not None:
        (tmp_path / "charset.txt").write_text(charset, encoding="utf-8")
        arguments += ["--charset", str(tmp_path / "charset.txt")]
    assert main(["export", *arguments, "--out", str(tmp_path / "b")]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_the_dictionary_of_an_inference_model_is_looked_at_likewise(
    inference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, which the extra 'cpu' installs")
    pytest.importorskip("yaml", reason="needs PyYAML, which the extra 'export' installs")
    det = checkpoint(tmp_path / "d.pdparams", "det")
    arguments = ["export", "--det", str(det), "--rec", str(inference), "--out", str(tmp_path / "b")]
    assert main(arguments) == 2
    assert "no dictionary is known for it" in capsys.readouterr().err
    (inference / "inference.yml").write_text(
        "PostProcess: {character_dict: ['京', '津 ', 'A']}", encoding="utf-8"
    )
    assert main(arguments) == 2
    assert "(inference.yml): line 2 is a character with a blank beside it" in capsys.readouterr().err
