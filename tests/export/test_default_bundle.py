"""The bundle that the package carries, and the reference that it is verified with."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.extras import reason

from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend
from edge_lpr.bundle.manifest import bundled, load_bundle
from edge_lpr.cli import main
from edge_lpr.errors import ModelError
from edge_lpr.export.parity.images import scenes
from edge_lpr.export.parity.reference import REFERENCE_FILE, check_reference
from edge_lpr.export.pretrained import load_pretrained
from edge_lpr.export.wheels import source_of
from edge_lpr.pipeline.ctc import greedy

pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))


def test_its_graphs_are_as_a_bundles_should_be() -> None:
    bundle = load_bundle()
    for part, width in (("det", None), ("rec", bundle.rec.classes)):
        model = onnx.load_model_from_string(bundle.model(part, "fp32").read())
        onnx.checker.check_model(model, full_check=True)
        assert model.opset_import[0].version >= 17
        assert {"BatchNormalization", "Identity", "Constant", "Shape"}.isdisjoint(
            n.op_type for n in model.graph.node
        )
        last = model.graph.output[0].type.tensor_type.shape.dim[-1]
        assert width is None or last.dim_value == width


def test_it_is_verified() -> None:
    det, rec = check_reference(load_bundle())
    assert det.passed(1e-4)
    assert rec.passed(1e-4)


def test_it_is_verified_on_plates_that_it_finds_and_reads() -> None:
    bundle = load_bundle()
    det, rec = check_reference(bundle)
    assert det.compared >= len(scenes())
    assert rec.compared >= len(scenes())
    with np.load(bundle.path / REFERENCE_FILE) as arrays:
        read = [
            greedy(arrays[f"rec_out_{i}"], bundle.rec.charset, bundle.rec.unknown_class)[0]
            for i in range(len(scenes()))
        ]
    assert read == [scene.text for scene in scenes()]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundled(), tmp_path / "copy"))


def test_the_command_repeats_the_comparison(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--verify", str(copy), "--json", "--report", str(copy / "r" / "report.json")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["passed"] is True
    assert report["det"]["bundle"]["compared"] > 0 and report["rec"]["bundle"]["compared"] > 0
    assert json.loads((copy / "r" / "report.json").read_text(encoding="utf-8")) == report


def test_a_reference_without_any_box_or_text_says_so(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with np.load(copy / REFERENCE_FILE) as arrays:
        content = {name: arrays[name] for name in arrays.files if name.endswith("_0")}
    for part in ("det", "rec"):
        blank = np.zeros_like(content[f"{part}_in_0"])
        (out,) = (
            OnnxRuntimeBackend(load_bundle(copy).model(part, "fp32").read())
            .run({"image": blank[None]})
            .values()
        )
        content |= {f"{part}_in_0": blank, f"{part}_out_0": out[0]}
    np.savez_compressed(copy / REFERENCE_FILE, **content)
    assert main(["export", "--verify", str(copy)]) == 0
    told = capsys.readouterr().out
    assert "det: no box in these images, so probabilities alone were compared" in told
    assert "rec: no text in these images, so probabilities alone were compared" in told


def test_other_weights_do_not_pass(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with np.load(copy / REFERENCE_FILE) as arrays:
        content = {name: arrays[name] for name in arrays.files}
    content["rec_out_1"] = np.roll(content["rec_out_1"], 1, axis=-1)
    np.savez_compressed(copy / REFERENCE_FILE, **content)
    assert main(["export", "--verify", str(copy)]) == 1
    told = capsys.readouterr()
    assert "NOT as Paddle" in told.out
    assert "rec bundle, beyond the bound:\n    reference 1: " in told.out
    assert "export the bundle again" in told.err


def test_another_wheel_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "rapidocr_onnxruntime-1.2.11-py3-none-any.whl"
    with pytest.raises(ModelError, match="cannot be read"):
        load_pretrained(source_of(None), wheel)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("rapidocr_onnxruntime/models/x.onnx", b"x")
    with pytest.raises(ModelError, match="sha256"):
        load_pretrained(source_of(None), wheel)
