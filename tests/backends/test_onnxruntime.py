"""What ONNX Runtime alone can get wrong; what it shares with TensorRT is in test_protocol.py."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.extras import reason

from edge_lpr.backends import onnxruntime, open_models
from edge_lpr.backends.onnxruntime import CUDA, OnnxRuntimeBackend, open_session
from edge_lpr.bundle.manifest import bundled, load_bundle
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.errors import BackendError, BundleError

ort = pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))


@pytest.fixture
def rec() -> ModelFile:
    if not (bundled() / "bundle.json").is_file():
        pytest.skip("needs the default bundle")
    return load_bundle().model("rec", "fp32")


def without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes this ONNX Runtime one that was built for CUDA, on a machine where CUDA cannot start."""
    real = ort.InferenceSession

    def session(data: bytes, options: object, providers: list[Any], **more: object) -> Any:
        return real(data, options, providers=[p for p in providers if CUDA not in p])

    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", session)


def test_cuda_that_was_asked_for_and_could_not_start(rec: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    without_cuda(monkeypatch)
    with pytest.raises(
        BackendError, match=r"cannot use CUDA here: replace onnxruntime \(pip install .*\[gpu\]"
    ) as e:
        OnnxRuntimeBackend.from_file(rec, device="cuda")
    assert "\n" not in str(e.value)


def test_a_silent_fall_back_is_known_afterwards(rec: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    without_cuda(monkeypatch)
    fallen = OnnxRuntimeBackend.from_file(rec, threads=1)
    assert (fallen.device, fallen.fell_back) == ("cpu", True)
    chosen = OnnxRuntimeBackend.from_file(rec, device="cpu", threads=1)
    assert (chosen.device, chosen.fell_back) == ("cpu", False)


def test_a_gpu_that_was_asked_for_is_no_hint(rec: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    without_cuda(monkeypatch)
    monkeypatch.setattr("edge_lpr.devices.gpu_count", lambda: 2)
    with pytest.raises(BackendError, match="cannot use CUDA here"):
        open_models(load_bundle(), backend="onnxruntime", options={"device": 1})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What sessions are asked for, of an ONNX Runtime that was built for CUDA and cannot start it."""
    real = ort.InferenceSession
    found: list[dict[str, Any]] = []

    def session(data: bytes, options: object, providers: list[Any], **more: object) -> Any:
        found.append({"providers": providers, **more})
        if any(CUDA in p for p in providers):
            raise RuntimeError("CUDA failure 35")  # as it is raised where CUDA is too old
        return real(data, options, providers=providers, **more)

    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", session)
    return found


def test_cuda_gets_the_number_and_a_quick_search_and_its_refusal_prints_nothing(
    rec: ModelFile,
    asked: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    loaded = []

    def preload() -> None:
        loaded.append("cuDNN")
        print("Failed to load libcudnn.so.9")

    monkeypatch.setattr(ort, "preload_dlls", preload, raising=False)
    onnxruntime._preload.cache_clear()
    backend = OnnxRuntimeBackend.from_file(rec, threads=1, gpu=1)
    assert (backend.device, backend.fell_back, loaded) == ("cpu", True, ["cuDNN"])
    options = {"device_id": 1, "cudnn_conv_algo_search": "HEURISTIC"}
    assert asked[0]["providers"] == [(CUDA, options), "CPUExecutionProvider"]
    assert asked[0]["enable_fallback"] == 0
    OnnxRuntimeBackend.from_file(rec, threads=1)
    assert loaded == ["cuDNN"]  # once
    assert capfd.readouterr() == ("", "")
    onnxruntime._preload.cache_clear()


def test_what_is_no_onnx_model(tmp_path: Path) -> None:
    data = b"no model at all"
    path = tmp_path / "det.onnx"
    path.write_bytes(data)
    model = ModelFile(path, hashlib.sha256(data).hexdigest(), len(data), "fp32", {})
    with pytest.raises(BundleError, match=r"det.onnx: ONNX Runtime .* cannot load it") as e:
        OnnxRuntimeBackend.from_file(model)
    assert "\n" not in str(e.value)


def test_it_runs_on_the_cpu_with_the_threads_it_is_given(rec: ModelFile) -> None:
    bundle = load_bundle()
    image = np.zeros((1, bundle.rec.height, bundle.rec.widths[0], 3), np.uint8)
    results = [
        OnnxRuntimeBackend.from_file(rec, device="cpu", threads=threads).run({bundle.rec.input_name: image})
        for threads in (1, 2, None)
    ]
    for result in results[1:]:
        np.testing.assert_allclose(
            result[bundle.rec.output_name], results[0][bundle.rec.output_name], atol=1e-5
        )


@pytest.mark.parametrize(
    "command", [["samples/street.jpg", "--threads", "1"], ["doctor"]], ids=["read", "doctor"]
)
def test_nothing_is_reported_and_no_file_is_left_behind(command: list[str], tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    # Under CI, or in its own tests, it reports nothing by itself.
    ours = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("ORT_")}
    done = subprocess.run(
        [sys.executable, "-m", "edge_lpr", *command],
        cwd=Path(__file__).parents[2],
        env={**ours, "HOME": str(home), "TMPDIR": str(temporary)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not list(home.rglob("*")) and not list(temporary.rglob("*"))


def test_biases_between_scales_in_fp16_are_what_the_file_says() -> None:
    onnx = pytest.importorskip("onnx", reason=reason("onnx", "calib"))
    from onnx import TensorProto, helper, numpy_helper

    scale, weights = np.float16(2e-4), np.random.default_rng(0).integers(-127, 127, (4, 3, 3, 3))
    constants = {
        "sx": np.array(scale), "sw": np.full(4, 1e-4, np.float16), "so": np.array(0.01, np.float16),
        "z": np.array(0, np.int8), "zw": np.zeros(4, np.int8), "w": weights.astype(np.int8),
        "b": np.array([0.1, 0.2, 0.3, 0.4], np.float16),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "sx", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "sx", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "sw", "zw"], ["dw"], axis=0),
        helper.make_node("Conv", ["d", "dw", "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["c", "so", "z"], ["qc"]),
        helper.make_node("DequantizeLinear", ["qc", "so", "z"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small scales",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT16, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT16, [1, 4, 8, 8])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = [onnx.helper.make_opsetid("", 19)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()
    image = np.random.default_rng(1).normal(0, 0.02, (1, 3, 8, 8)).astype(np.float16)
    found = [
        open_session(model, optimized=optimized).run(None, {"x": image})[0] for optimized in (True, False)
    ]
    np.testing.assert_array_equal(*found)
    np.testing.assert_allclose(found[0].mean(axis=(0, 2, 3)), constants["b"], atol=0.02)
