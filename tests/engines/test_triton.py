"""The repository for Triton: what ONNX Runtime finds in its models, and what Triton's own schema takes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.engine_manifests import H200, PLAN, PROFILES, manifest
from helpers.extras import reason

from edge_lpr.bundle.manifest import bundled, load_bundle
from edge_lpr.cli import main
from edge_lpr.engines.triton import engines_for, models_of, write_repository
from edge_lpr.errors import BackendError
from edge_lpr.types import PARTS


@pytest.fixture
def parse() -> Callable[[Path], Any]:
    """Reads a config.pbtxt as Triton does."""
    pytest.importorskip("tritonclient", reason=reason("tritonclient", "scaletest"))
    pytest.importorskip("grpc", reason=reason("grpc", "scaletest"))
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    return lambda path: text_format.Parse(path.read_text("utf-8"), model_config_pb2.ModelConfig())


def test_the_command_writes_both_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--triton", str(tmp_path / "r"), "--batch", "1", "16"]) == 0
    told = [Path(line) for line in capsys.readouterr().out.splitlines()]
    there = sorted(path for path in (tmp_path / "r").rglob("*") if path.is_file())
    assert sorted(told) == there and len(there) == 4
    bundle = load_bundle()
    for part in PARTS:
        data = (tmp_path / "r" / f"edge_lpr_{part}" / "1" / "model.onnx").read_bytes()
        assert data == bundle.model(part, "fp32").read()
    assert "max_batch_size: 16" in (tmp_path / "r" / "edge_lpr_rec" / "config.pbtxt").read_text()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_tritons_schema_takes_the_configuration(
    tmp_path: Path, precision: str, parse: Callable[[Path], Any]
) -> None:
    ort = pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    list(write_repository(tmp_path, models_of(load_bundle(), precision, 8)))
    for part in PARTS:
        folder = tmp_path / f"edge_lpr_{part}"
        config = parse(folder / "config.pbtxt")
        session = ort.InferenceSession(folder / "1" / "model.onnx", providers=["CPUExecutionProvider"])
        # What Triton's ONNX Runtime backend compares when it loads a model.
        for told, real in ((config.input, session.get_inputs()), (config.output, session.get_outputs())):
            assert [one.name for one in told] == [one.name for one in real]
            sides = [side if isinstance(side, int) else -1 for side in real[0].shape]
            assert [*told[0].dims] == sides[1:] and sides[0] == -1
        assert (
            session.get_inputs()[0].type == "tensor(uint8)" and config.input[0].data_type == 2
        )  # TYPE_UINT8
        assert (
            session.get_outputs()[0].type == "tensor(float)" and config.output[0].data_type == 11
        )  # TYPE_FP32
        assert config.name == folder.name and config.max_batch_size == 8 and config.backend == "onnxruntime"
        assert config.dynamic_batching.max_queue_delay_microseconds == 2000
        assert config.parameters["edge_lpr.precision"].string_value == precision


def test_plans_take_the_place_of_onnx(tmp_path: Path, parse: Callable[[Path], Any]) -> None:
    engines, repository = tmp_path / "engines", tmp_path / "r"
    engines.mkdir()
    models = models_of(load_bundle(), "fp16", 32)
    for model in models:
        made = manifest(engines, model.model, H200, part=model.part, flags={"float_map": True})
        path = engines / f"{model.part}.json"
        replace(made, path=path, profiles=PROFILES * 2).write(PLAN)
    list(write_repository(repository, models))
    list(write_repository(repository, engines_for(models, engines)))
    for part in PARTS:
        files = {path.name for path in (repository / f"edge_lpr_{part}").rglob("*") if path.is_file()}
        assert files == {"config.pbtxt", "model.plan"}
        config = parse(repository / f"edge_lpr_{part}" / "config.pbtxt")
        assert (config.backend, config.max_batch_size) == ("tensorrt", 8)
        assert [*config.instance_group[0].profile] == ["0", "1"] and config.instance_group[0].kind == 1


def test_engines_that_pack_their_map_are_not_for_triton(tmp_path: Path) -> None:
    models = models_of(load_bundle(), "fp16", 8)
    with pytest.raises(BackendError, match=r"det fp16: .* there is none; build it: .* --float-map$"):
        engines_for(models, tmp_path)
    manifest(tmp_path, models[0].model, H200, flags={"float_map": False}).write(PLAN)
    with pytest.raises(BackendError, match="only one that returns its map packed"):
        engines_for(models, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--triton", "r", "--precision", "fp16", "fp32"], "one precision of each model"),
        (["--triton", "r", "--batch", "0"], "--batch 0: expected sizes from 1 to 256"),
        (["--triton-plans"], "--triton-plans goes with --triton"),
        (["--triton", "r", "--precision", "int4"], "invalid choice"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["build", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and not Path("r").exists()


def test_a_repository_is_not_written_over_the_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(bundled(), "b")
    (tmp_path / "r" / "edge_lpr_det").mkdir(parents=True)
    (tmp_path / "r" / "edge_lpr_det" / "config.pbtxt").hardlink_to(tmp_path / "b" / "bundle.json")
    assert main(["build", "b", "--triton", "r"]) == 2
    assert "--triton r/edge_lpr_det/config.pbtxt: would overwrite" in capsys.readouterr().err
