"""What is fastest on this CPU is measured, remembered, and taken."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.extras import reason

from edge_lpr.backends import measured, open_models
from edge_lpr.backends.measured import Speed, candidate, fastest, known, measure, remember
from edge_lpr.backends.onnxruntime import cpu_opener
from edge_lpr.bundle.manifest import Bundle, load_bundle
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.cli import main
from edge_lpr.errors import BackendError, BundleError
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.types import PARTS

pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
pytest.importorskip("onnx", reason=reason("onnx", "test"))

from helpers.tiny_bundle import write_bundle

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "street.jpg"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(measured, "cache_folder", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "speed"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle whose detector has a model for CPUs; here it is the FP32 one with a name of its own."""
    return with_cpu(write_bundle(tmp_path / "bundle"), "det")


def with_cpu(folder: Path, *parts: str, kept: bool = True) -> Bundle:
    raw = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    for part in parts:
        entry = dict(raw[part]["precisions"]["fp32"])
        shutil.copy(folder / entry["file"], folder / f"{part}.int8-cpu.onnx")
        entry |= {"file": f"{part}.int8-cpu.onnx", "budget": {"points": 0.2, "kept": kept}}
        raw[part]["precisions"]["int8-cpu"] = entry
    (folder / "bundle.json").write_text(json.dumps(raw), encoding="utf-8")
    return load_bundle(folder)


class Slow:
    """A backend that takes so much CPU time a run, by a clock of its own."""

    def __init__(self, clock: list[float], seconds: float, failing: bool = False) -> None:
        self.clock, self.seconds, self.failing, self.closed, self.runs = clock, seconds, failing, False, 0

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self.failing:
            raise BackendError("no kernel for it")
        self.runs += 1
        self.clock[0] += self.seconds
        return {}

    def close(self) -> None:
        self.closed = True


def opener(
    monkeypatch: pytest.MonkeyPatch, reference: float, other: float, *, failing: bool = False
) -> tuple[Any, list[Slow]]:
    clock, opened = [0.0], []
    monkeypatch.setattr(measured.time, "process_time", lambda: clock[0])

    def opening(model: ModelFile) -> Slow:
        slow = model.precision == "fp32"
        opened.append(Slow(clock, reference if slow else other, failing and not slow))
        return opened[-1]

    return opening, opened


def test_it_is_taken_where_it_is_faster_and_nowhere_else(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick, opened = opener(monkeypatch, 0.05, 0.02)
    name, speed = fastest(bundle, "det", quick, 1)
    assert name == "int8-cpu" and speed is not None
    assert (speed.reference, speed.other, speed.gain) == pytest.approx((50, 20, 2.5))
    assert all(backend.closed for backend in opened) and opened[0].runs == opened[1].runs
    # Remembered: nothing is opened again, for these threads.
    assert fastest(bundle, "det", quick, 1) == (name, speed) and len(opened) == 2
    slow, again = opener(monkeypatch, 0.02, 0.0199)
    assert fastest(bundle, "det", slow, 2)[0] == "fp32" and len(again) == 2
    # The recognizer has nothing to choose from.
    assert fastest(bundle, "rec", slow, 1) == ("fp32", None)


def test_what_lost_too_much_accuracy_is_no_candidate(tmp_path: Path) -> None:
    assert candidate(with_cpu(write_bundle(tmp_path / "worse"), "det", kept=False), "det") is None
    good = with_cpu(write_bundle(tmp_path / "good"), "det")
    model = candidate(good, "det")
    assert model is not None and model.precision == "int8-cpu"
    odd = replace(model, extra={"budget": ["kept"]})
    assert candidate(replace(good, det=replace(good.det, precisions={"int8-cpu": odd})), "det") is None


def test_what_cannot_run_is_not_taken(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, opened = opener(monkeypatch, 0.05, 0.02, failing=True)
    assert fastest(bundle, "det", broken, 1) == ("fp32", None)
    assert all(backend.closed for backend in opened)


def test_figures_are_of_what_they_depend_on(
    bundle: Bundle, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speed = Speed("int8-cpu", 50, 20)
    remember(bundle, "det", 1, speed)
    assert known(bundle, "det", 1) == speed
    assert known(bundle, "det", 2) is None
    with monkeypatch.context() as changed:
        changed.setattr(measured, "machine", lambda: {"cpu": "another"})
        assert known(bundle, "det", 1) is None
    with monkeypatch.context() as changed:
        changed.setattr(measured, "versions", lambda *names: {"onnxruntime": "1.0"})
        assert known(bundle, "det", 1) is None
    (file,) = own_cache.iterdir()
    for damage in ("", "[1]", '{"fp32": 1}', '{"fp32": "x", "int8-cpu": 1}', '{"fp32": 1, "int8-cpu": 0}'):
        file.write_text(damage, encoding="utf-8")
        assert known(bundle, "det", 1) is None


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(
    bundle: Bundle, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_cache.parent.mkdir()
    own_cache.write_text("a file where the folder would be", encoding="utf-8")
    quick, _ = opener(monkeypatch, 0.05, 0.02)
    assert fastest(bundle, "det", quick, 1)[0] == "int8-cpu"


def test_auto_takes_each_network_as_it_was_measured(bundle: Bundle) -> None:
    remember(bundle, "det", 1, Speed("int8-cpu", 50, 20))
    models = open_models(bundle, backend="onnxruntime", options={"threads": 1})
    assert (models.det.precision, models.rec.precision) == ("int8-cpu", "fp32")
    assert models.why == (
        "ONNX Runtime on cpu, detector int8-cpu (2.5 times as fast as fp32 here), recognizer fp32"
    )
    models.close()
    remember(bundle, "det", 1, Speed("int8-cpu", 50, 51))
    models = open_models(bundle, backend="onnxruntime", options={"threads": 1})
    assert (models.det.precision, models.why) == ("fp32", "ONNX Runtime on cpu, fp32")
    models.close()


def test_auto_measures_what_is_not_known(bundle: Bundle, own_cache: Path) -> None:
    models = open_models(bundle, backend="onnxruntime", options={"threads": 1})
    models.close()
    (file,) = own_cache.iterdir()
    assert set(json.loads(file.read_text(encoding="utf-8"))) == {"fp32", "int8-cpu"}


def test_asked_for_it_is_taken_unmeasured(bundle: Bundle, own_cache: Path, tmp_path: Path) -> None:
    models = open_models(bundle, backend="onnxruntime", precision="int8-cpu", options={"threads": 1})
    assert models.why == "ONNX Runtime on cpu, detector int8-cpu, recognizer fp32"
    models.close()
    assert not own_cache.exists()
    none = load_bundle(write_bundle(tmp_path / "none"))
    with pytest.raises(BundleError, match=r"no int8-cpu model of 'det'.* --precision int8-cpu --data DIR"):
        open_models(none, backend="onnxruntime", precision="int8-cpu")


def test_the_default_bundle_has_it_for_both_networks_and_reads_the_sample_alike() -> None:
    default = load_bundle()
    assert all("int8-cpu" in models for models in default.files().values())
    texts, corners = [], []
    for precision in ("fp32", "int8-cpu"):
        with PlateReader(precision=precision, threads=1) as reader:
            reads = sorted(reader.read(SAMPLE), key=lambda read: read.text)
        assert len(reads) == 2
        texts.append([read.text for read in reads])
        corners.append(np.array([read.corners for read in reads]))
    assert texts[0] == texts[1]
    assert np.abs(corners[0] - corners[1]).max() < 3


@pytest.mark.parametrize(("name", "takes"), [("default", [True, True]), ("accurate", [False, True])])
def test_auto_takes_of_the_packages_bundles_what_kept_the_budget(name: str, takes: list[bool]) -> None:
    bundle = load_bundle(name)
    judged = bundle.model("det", "int8-cpu").extra["budget"]
    small = judged["small_plates"]
    # The large detector's INT8 loses small plates, by more than chance and by more than the budget.
    lost = (small["won"] - small["lost"]) / small["items"] < -judged["points"] / 100 and small[
        "low_points"
    ] < 0
    assert [judged["kept"], small["kept"], not lost] == [takes[0]] * 3
    assert [candidate(bundle, part) is not None for part in PARTS] == takes
    for part in PARTS:
        if candidate(bundle, part) is not None:
            remember(bundle, part, 1, Speed("int8-cpu", 50, 20))
    models = open_models(bundle, backend="onnxruntime", options={"threads": 1})
    assert (models.det.precision, models.rec.precision) == ("int8-cpu" if takes[0] else "fp32", "int8-cpu")
    models.close()


def test_a_real_measurement_is_of_both(bundle: Bundle) -> None:
    speed = measure(bundle, "det", cpu_opener(1), 1)
    assert speed.reference > 0 and speed.other > 0
    assert known(bundle, "det", 1) == speed


def test_doctor_shows_what_was_measured_and_measures_again(
    bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*arguments: str) -> dict[str, dict[str, str]]:
        main(["doctor", "--json", "--threads", "1", "--bundle", str(bundle.path), *arguments])
        return {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}

    assert told()["detector speed"]["advice"] == "edge-lpr doctor --bench"
    remember(bundle, "det", 1, Speed("int8-cpu", 50, 20))
    found = told()
    assert found["detector speed"]["found"] == (
        "int8-cpu 20.00 ms of CPU time, fp32 50.00 ms: 2.50 times as fast, auto takes int8-cpu"
    )
    assert "recognizer speed" not in found
    found = told("--bench")
    assert (
        found["detector speed"]["state"] == "ok" and "fp32 50.00 ms" not in found["detector speed"]["found"]
    )
    assert "--target cpu" in found["recognizer speed"]["advice"]
    speed = known(bundle, "det", 1)
    assert speed is not None and f"{speed.other:.2f} ms" in found["detector speed"]["found"]
