"""Which nodes run where, read off profiles that ONNX Runtime wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.extras import reason

from edge_lpr.backends.onnxruntime import CPU, CUDA, nodes_on_cpu
from edge_lpr.backends.onnxruntime_profile import nodes_by_provider, profiled_run
from edge_lpr.bundle.manifest import bundled, load_bundle
from edge_lpr.cli.doctor import models
from edge_lpr.errors import BackendError

ort = pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
pytestmark = pytest.mark.skipif(not (bundled() / "bundle.json").is_file(), reason="needs the default bundle")


@pytest.fixture(scope="module")
def profile() -> str:
    """What ONNX Runtime writes of the recognizer on a CPU."""
    bundle = load_bundle()
    data = bundle.model("rec", "fp32").read()
    blank = np.zeros((1, bundle.rec.height, bundle.rec.widths[0], 3), np.uint8)
    return profiled_run(
        ort.SessionOptions(),
        lambda options: ort.InferenceSession(data, options, providers=[CPU]),
        {bundle.rec.input_name: blank},
    )


def test_a_real_profile_names_every_node_and_its_provider(profile: str) -> None:
    found = nodes_by_provider(profile)
    events = [event for event in json.loads(profile) if event["cat"] == "Node"]
    assert list(found) == [CPU]
    assert len(found[CPU]) == len({event["name"] for event in events}) > 50
    assert {"Conv", "MatMul"} & set(found[CPU])


def test_of_a_profile_with_both_the_nodes_left_on_the_cpu_are_told(profile: str) -> None:
    events = json.loads(profile)
    nodes = [event["args"] for event in events if event["cat"] == "Node"]
    for arguments in nodes[3:]:
        arguments["provider"] = CUDA
    found = nodes_by_provider(json.dumps(events))
    assert found[CPU] == [arguments["op_name"] for arguments in nodes[:3]]
    assert len(found[CUDA]) == len(nodes) - 3
    assert nodes_by_provider(json.dumps(events + events)) == found  # two runs are the same nodes


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1, null]", '[{"cat": "Node", "args": {}}]', "[{"])
def test_what_is_no_profile_is_one_line(text: str) -> None:
    with pytest.raises(BackendError, match="ONNX Runtime's profile") as e:
        nodes_by_provider(text)
    assert "\n" not in str(e.value)


def test_doctor_lists_what_a_gpu_leaves_to_the_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # On a CPU all nodes are; on a GPU those would be what its provider has no kernel for.
    real = ort.InferenceSession

    def session(data: bytes, options: object, providers: list[Any], **more: object) -> Any:
        return real(data, options, providers=[p for p in providers if CUDA not in p])

    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "InferenceSession", session)
    monkeypatch.setattr(ort, "preload_dlls", lambda: None, raising=False)
    monkeypatch.chdir(tmp_path)
    det, rec = models._left_on_the_cpu(load_bundle(), "fp32", 0)
    assert (det.name, det.state) == ("det on the GPU", "missing")
    assert "on the CPU, with copies there and back: " in det.found and "Conv (" in det.found
    assert rec.name == "rec on the GPU" and "MatMul (" in rec.found
    assert not list(tmp_path.iterdir())  # the profile is gone


def test_without_cuda_nothing_is_profiled() -> None:
    bundle = load_bundle()
    if CUDA in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(BackendError, match="not built for CUDA"):
        nodes_on_cpu(bundle.model("rec", "fp32"), {})
