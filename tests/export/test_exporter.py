"""Real Paddle models through the whole export; skips where Paddle is not installed."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.extras import reason

from edge_lpr.architectures.pdparams import load_checkpoint, save_checkpoint
from edge_lpr.architectures.registry import ARCHITECTURES, identify
from edge_lpr.benchmarks.networks import drawn_weights
from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.cli import main

pytestmark = pytest.mark.filterwarnings("ignore")  # Paddle warns on import, of things of its own

DET, REC = ARCHITECTURES["ch_PP-OCRv3_det"], ARCHITECTURES["ch_PP-OCRv3_rec"]
KEYS = "京津沪AB12"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("paddle", reason=reason("paddle", "export"))
    pytest.importorskip("paddle2onnx", reason=reason("paddle2onnx", "export"))
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    path = tmp_path_factory.mktemp("models")
    save_checkpoint(path / "det.pdparams", drawn_weights(DET.parameters(training=True), 1))
    rec = drawn_weights(REC.parameters(len(KEYS) + 2), 2)
    rec["head.ctc_head.fc.weight"] *= 8
    save_checkpoint(path / "rec.pdparams", {f"Student.{n}": a for n, a in rec.items()})
    (path / "keys.txt").write_text("\n".join(KEYS) + "\n", encoding="utf-8")
    return path


def arguments(folder: Path, out: str, *more: str) -> list[str]:
    models = ["--det", str(folder / "det.pdparams"), "--rec", str(folder / "rec.pdparams")]
    keys = ["--dict", str(folder / "keys.txt")]
    return ["export", *models, *keys, "--limit", "1", "--out", str(folder / out), *more]


def test_our_networks_have_paddleocrs_parameters(folder: Path) -> None:
    from edge_lpr.architectures.paddle_builder import build

    for architecture, classes in ((DET, 0), (REC, 9)):
        network = build(architecture.network(classes, False))
        found = {name: tuple(p.shape) for name, p in network.state_dict().items()}
        assert found == {p.name: p.shape for p in architecture.parameters(classes)}


def test_paddle_reads_our_checkpoints_and_we_read_its(folder: Path) -> None:
    import paddle

    ours = load_checkpoint(folder / "det.pdparams")
    theirs = paddle.load(str(folder / "det.pdparams"))
    assert set(theirs) - {"StructuredToParameterName@@"} == set(ours)
    paddle.save({n: t for n, t in theirs.items() if n in ours}, str(folder / "theirs.pdparams"))
    for name, wanted in load_checkpoint(folder / "theirs.pdparams").items():
        np.testing.assert_array_equal(wanted, ours[name])


def test_checkpoints_to_a_verified_bundle(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "cut.txt").write_text("A\n1\n京\n", encoding="utf-8")
    cut = str(folder / "cut.txt")
    rules = ["--rec-width", "160", "--det-limit", "480", "--det-max", "1376", "--det-box-thresh", "0.5"]
    (folder / "origin.json").write_text('{"made": {"steps": 5}}')
    rules += ["--origin", str(folder / "origin.json")]
    assert main(arguments(folder, "b", "--charset", cut, *rules, "--name", "tiny")) == 0
    told = capsys.readouterr()
    assert "as Paddle" in told.out
    assert "13 parameters of heads that only training uses (head.thresh)" in told.out
    bundle = load_bundle(folder / "b")
    assert (bundle.name, bundle.rec.charset, bundle.rec.unknown_class) == ("tiny", ("A", "1", "京"), True)
    assert list(bundle.raw["origin"]) == ["det", "rec", "converter", "made"]
    assert bundle.raw["origin"]["made"] == {"steps": 5}
    assert bundle.raw["det"]["size"]["stride"] == 32
    assert bundle.rec.widths == (160,)
    assert (bundle.det.limit_side_len, bundle.det.max_side_len) == (480, 1376)
    assert bundle.det.postprocess["box_thresh"] == 0.5
    for part in ("det", "rec"):
        model = onnx.load_model_from_string(bundle.model(part, "fp32").read())
        onnx.checker.check_model(model, full_check=True)
        kinds = {n.op_type for n in model.graph.node}
        assert {"BatchNormalization", "Identity", "Shape", "HardSwish"}.isdisjoint(kinds)
    report = json.loads((folder / "b" / "parity.json").read_text(encoding="utf-8"))
    assert set(report["rec"]) == {"raw", "folded", "cut"}
    # Random weights: what is compared must be alive for the comparison to say anything.
    with np.load(folder / "b" / "reference.npz") as arrays:
        assert arrays["rec_out_0"].std() > 0.02
        assert arrays["det_out_0"].std() > 0.002
    assert main(["export", "--verify", str(folder / "b")]) == 0
    capsys.readouterr()
    assert main(["export", "--verify", str(folder / "b"), "--origin", str(folder / "origin.json")]) == 2
    assert capsys.readouterr().err == "edge-lpr: --origin goes with --out alone\n"


def test_inference_models_and_a_verification_against_paddle(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import paddle

    from edge_lpr.architectures.paddle_builder import filled

    content = {n.removeprefix("Student."): a for n, a in load_checkpoint(folder / "rec.pdparams").items()}
    network = filled(identify(content, "rec", "rec"), content)
    spec = paddle.static.InputSpec([None, 3, 48, None], "float32", "x")
    paddle.jit.save(network, str(folder / "rec_infer" / "inference"), input_spec=[spec])
    whole = arguments(folder, "c", "--json")
    whole[whole.index("--rec") + 1] = str(folder / "rec_infer")
    assert main(whole) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["passed"]
    assert load_bundle(folder / "c").rec.charset == (*KEYS, " ")
    again = [*whole[: whole.index("--out")], "--verify", str(folder / "c")]
    assert main(again) == 0


def test_a_broken_bound_keeps_the_report_and_writes_no_bundle(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(folder, "d", "--bound", "1e-12")) == 1
    told = capsys.readouterr()
    assert "no bundle is written" in told.err
    assert "\nrec raw, beyond the bound:\n    drawn 1, " in told.out
    assert "\nthese images are drawn; " in told.out
    assert not (folder / "d").exists()
    report = json.loads((folder / "d.parity.json").read_text(encoding="utf-8"))
    assert report["passed"] is False


def test_a_recognition_inference_model_as_detection(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = arguments(folder, "e")
    wrong[wrong.index("--det") + 1] = str(folder / "rec_infer")
    assert main(wrong) == 2
    assert "is it a recognition model" in capsys.readouterr().err


def test_the_space_that_paddleocr_adds_to_a_dictionary_that_has_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = load_checkpoint(folder / "rec.pdparams")
    for name in ("weight", "bias"):
        key = f"Student.head.ctc_head.fc.{name}"
        content[key] = np.concatenate([content[key], content[key][..., -1:]], axis=-1)
    save_checkpoint(folder / "english" / "best_accuracy.pdparams", content)
    (folder / "english" / "keys.txt").write_text("\n".join([*KEYS, " "]) + "\n", encoding="utf-8")
    given = arguments(folder, "f", "--use-space-char")
    given[given.index("--rec") + 1] = str(folder / "english" / "best_accuracy")
    given[given.index("--dict") + 1] = str(folder / "english" / "keys.txt")
    assert main(given) == 0
    # The first of the two, which PaddleOCR never trains, is part of the unknown class.
    spec = load_bundle(folder / "f").rec
    assert (spec.charset, spec.unknown_class) == ((*KEYS, " "), True)
