"""Which backend is chosen, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.extras import reason

from edge_lpr.backends import BACKENDS, BackendKind, BackendOption, Models, open_models, tensorrt
from edge_lpr.bundle.manifest import Bundle, bundled, load_bundle
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.errors import BackendError, BundleError, SettingError


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    if not (bundled() / "bundle.json").is_file():
        pytest.skip("needs the default bundle")
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    return load_bundle()


class Fake:
    """A TensorRT backend as far as the choice sees it."""

    name, device, max_batch, sizes, version = "tensorrt", "Orin", 8, None, "10.3.0"
    preferred_batch, concurrency = 8, 4

    def __init__(self, model: ModelFile) -> None:
        self.precision = model.precision
        self.closed = False

    def run(self, inputs: Any) -> dict[str, Any]:
        raise NotImplementedError

    def close(self) -> None:
        self.closed = True


def engines(monkeypatch: pytest.MonkeyPatch, *there: str) -> list[Fake]:
    """Pretends that engines of these models are there and fit: "det.fp16"."""
    opened: list[Fake] = []

    def opener(model: ModelFile, folder: object) -> Fake:
        if not any(name in model.path.name for name in there):
            raise BackendError(f"no engine of {model.path.name}")
        opened.append(Fake(model))
        return opened[-1]

    monkeypatch.setattr(tensorrt, "_open_engine", opener)
    monkeypatch.setattr(tensorrt, "has_driver", lambda: True)
    return opened


def test_without_engines_onnx_runtime_says_why(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    engines(monkeypatch)
    models = open_models(bundle)
    assert (models.det.name, models.rec.name) == ("onnxruntime", "onnxruntime")
    assert models.det.precision == models.rec.precision == "fp32"
    assert models.why.startswith(f"ONNX Runtime on {models.det.device}, fp32")
    assert "(no engine of det.fp" in models.why and "\n" not in models.why


def test_without_a_driver_nobody_is_told_to_install_pycuda(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt, "has_driver", lambda: False)
    assert open_models(bundle).why == "ONNX Runtime on cpu, fp32 (no NVIDIA driver here)"


def test_valid_engines_are_taken(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    engines(monkeypatch, "det.fp32", "rec.fp32")
    models = open_models(bundle, precision="fp32")
    assert (models.det.name, models.why) == ("tensorrt", "TensorRT 10.3.0 on Orin, fp32")


def test_engines_of_one_model_alone_are_not_enough(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = engines(monkeypatch, "det.")
    models = open_models(bundle)
    assert models.rec.name == "onnxruntime" and "no engine of rec." in models.why
    assert opened and all(fake.closed for fake in opened)


def test_asked_for_and_not_there_is_an_error(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    engines(monkeypatch)
    with pytest.raises(BackendError, match="no engine of det"):
        open_models(bundle, backend="tensorrt")


def test_onnx_runtime_asked_for_never_looks_at_tensorrt(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines(monkeypatch, "det.", "rec.")
    models = open_models(bundle, backend="onnxruntime", options={"threads": 1})
    assert models.det.name == "onnxruntime" and "(" not in models.why


def test_a_fallback_of_onnx_runtime_is_said(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime as ort

    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    engines(monkeypatch)
    real = ort.InferenceSession

    def without_cuda(data: bytes, options: object, providers: list[Any], **more: object) -> Any:
        # What ONNX Runtime's GPU build does where CUDA cannot start: no error, another provider.
        return real(data, options, providers=[p for p in providers if "CUDAExecutionProvider" not in p])

    monkeypatch.setattr(
        ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(ort, "InferenceSession", without_cuda)
    models = open_models(bundle)
    assert models.det.device == "cpu"
    assert "its CUDA could not start" in models.why


def test_a_folder_of_engines_that_is_asked_for(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(
        SettingError, match=r"none: no such folder; create it with edge-lpr build --out .*none"
    ):
        open_models(bundle, options={"engines": tmp_path / "none"})
    with pytest.raises(
        SettingError, match="a setting of tensorrt, and the backend is onnxruntime; leave one out"
    ):
        open_models(bundle, backend="onnxruntime", options={"engines": tmp_path})


def test_engines_are_looked_for_where_they_are_said_to_be(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engines(monkeypatch)
    asked: list[object] = []

    def opener(model: ModelFile, folder: object) -> Fake:
        asked.append(folder)
        return Fake(model)

    monkeypatch.setattr(tensorrt, "_open_engine", opener)
    assert open_models(bundle, options={"engines": tmp_path}).det.name == "tensorrt"
    assert asked == [tmp_path, tmp_path]


def test_how_tensorrt_runs_is_passed_on_by_name(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    engines(monkeypatch)
    given: list[object] = []

    def opener(model: ModelFile, folder: object, **settings: object) -> Fake:
        given.append(settings)
        return Fake(model)

    monkeypatch.setattr(tensorrt, "_open_engine", opener)
    open_models(bundle, options={"graphs": False, "mapped": True})
    assert given == [{"graphs": False, "mapped": True}] * 2
    with pytest.raises(
        SettingError,
        match="no backend setting 'graph'; there are engines, graphs, mapped, slots, device, threads",
    ):
        open_models(bundle, options={"graph": False})


def test_a_number_of_a_gpu_that_is_not_there_is_one_line_whatever_the_backend(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines(monkeypatch, "det.", "rec.")
    monkeypatch.setattr("edge_lpr.devices.gpu_count", lambda: 2)
    for backend in ("auto", "tensorrt", "onnxruntime"):
        with pytest.raises(SettingError, match=r"^device 2: no such GPU; CUDA shows the numbers 0 to 1 \("):
            open_models(bundle, backend=backend, options={"device": 2})


def test_settings_out_of_range(bundle: Bundle) -> None:
    with pytest.raises(SettingError, match="backend 'cuda': expected one of auto, tensorrt, onnxruntime"):
        open_models(bundle, backend="cuda")
    missing = next((p for p in ("int8", "fp16") if p not in bundle.precisions()), None)
    if missing:
        with pytest.raises(BundleError, match=f"no {missing} model"):
            open_models(bundle, precision=missing)


def test_the_best_precision_of_the_engines_there(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A bundle with all precisions, whose files nobody reads here.
    from dataclasses import replace

    files = {
        part: {
            p: replace(bundle.model(part, "fp32"), path=tmp_path / f"{part}.{p}.onnx", precision=p)
            for p in ("fp32", "fp16", "int8")
        }
        for part in ("det", "rec")
    }
    full = replace(
        bundle,
        det=replace(bundle.det, precisions=files["det"]),
        rec=replace(bundle.rec, precisions=files["rec"]),
    )
    engines(monkeypatch, "fp32", "int8", "fp16")
    assert open_models(full).det.precision == "fp16"
    engines(monkeypatch, "fp32", "int8", "det.fp16")
    assert open_models(full).det.precision == "int8"
    assert np.all([m.precision == "fp32" for m in [open_models(full, precision="fp32").rec]])


def test_a_backend_of_ones_own_is_one_registration(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[object] = []

    def opener(bundle: Bundle, precision: str, options: object) -> Models:
        taken.append((precision, options))
        fake = Fake(bundle.model("det", "fp32"))
        return Models(fake, fake, "a backend of one's own")

    monkeypatch.setattr(BACKENDS, "_choices", dict(BACKENDS._choices))
    BACKENDS.register(BackendKind("own", 5, opener, options=(BackendOption("streams"),)))
    models = open_models(bundle, backend="own", precision="int8", options={"streams": 3})
    assert models.why == "a backend of one's own" and taken == [("int8", {"streams": 3})]
    assert open_models(bundle).why == "a backend of one's own"  # the lowest rank
    with pytest.raises(SettingError, match="streams 3: a setting of own, and the backend is onnxruntime"):
        open_models(bundle, backend="onnxruntime", options={"streams": 3})
    with pytest.raises(SettingError, match="registered twice"):
        BACKENDS.register(BackendKind("own", 6, opener))
