"""FP16 and INT8 models for a bundle, with the accuracy that they were measured to have."""

from __future__ import annotations

import copy
import datetime
import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from edge_lpr.backends import Models
from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend
from edge_lpr.backends.recording import RecordingBackend
from edge_lpr.bundle.manifest import Bundle, load_bundle
from edge_lpr.calib.quantization.calibration_data import (
    CalibrationData,
    CalibrationOptions,
    Meter,
    Stage,
    gather,
)
from edge_lpr.calib.quantization.fp16 import find_overflows, to_fp16
from edge_lpr.calib.quantization.layers import find_layers, observe_shapes, watch
from edge_lpr.calib.quantization.objectives import DetObjective, RecObjective, window
from edge_lpr.calib.quantization.range_estimator import observe
from edge_lpr.calib.quantization.search import Cache, Search, cache_key
from edge_lpr.datasets.labels import load_labels
from edge_lpr.errors import BundleError
from edge_lpr.evaluation.evaluate import evaluate_reader
from edge_lpr.io.atomic_io import write_bytes
from edge_lpr.onnx_graph.graph import OnnxGraph, load_onnx
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.recognizer import Recognizer
from edge_lpr.precisions import REFERENCE
from edge_lpr.types import Part

PARTS: tuple[Part, ...] = ("det", "rec")
# Images and crops that the distance of a search is measured on.
PROBE_SCENES, PROBE_CROPS = 12, 64
# Share of the multiply-adds that may stay in float for less noise, however good the accuracy is without.
# Promised are 90 % in INT8 for detectors and 95 % for recognizers; another input size shifts shares a bit.
SPARE: dict[Part, float] = {"det": 0.09, "rec": 0.045}
# Batches that FP16's overflows are looked for on, all activations at once.
OVERFLOW_BATCHES = 24
FP16_BUDGET = 0.001
REC_BATCH = 16


def calibrate(
    bundle: str | Path,
    sources: Sequence[str | Path],
    options: CalibrationOptions,
    stage: Stage,
    report: Callable[[str], None],
) -> list[str]:
    """Adds FP16 and INT8 models to a bundle.

    The bundle changes at the very end, in one step: interrupted before, it is as it was.

    Args:
        bundle: The bundle's folder.
        sources: Labelled images (`load_labels`), or folders of images without labels.
        options: How.
        stage: Opens the progress of a step.
        report: Called with a line for each finding.

    Returns:
        Warnings.

    Raises:
        BundleError: The bundle cannot be read or has no FP32 models.
        InputError: The images cannot be used.
        OutputError: The bundle cannot be written.
    """
    opened = load_bundle(bundle)
    files = {part: _fp32(opened, part) for part in PARTS}
    models = {
        part: OnnxGraph(load_onnx(files[part], f"{opened.path}: {part}")).to_model(part) for part in PARTS
    }
    labels = load_labels(sources, unlabelled=True)
    material = gather(opened, models, labels, sources, options, stage)
    for warning in material.warnings:
        report(f"warning: {warning}")
    made: dict[tuple[Part, str], tuple[bytes, dict[str, Any]]] = {}
    for part in PARTS:
        maker = _Part(opened, part, models[part], files[part], material, options, stage, report)
        for precision in options.precisions:
            made[part, precision] = maker.make(precision)
    calibration = _calibration(material, options)
    if material.labelled:
        calibration["end_to_end"] = _end_to_end(opened, models, made, material, options, stage, report)
    add_precisions(opened, made, calibration)
    return material.warnings


def _fp32(bundle: Bundle, part: Part) -> bytes:
    models = (bundle.det if part == "det" else bundle.rec).precisions
    if "fp32" not in models:
        raise BundleError(
            f"{bundle.path}: no fp32 model of {part!r}, only {', '.join(models)}; calibration needs it: "
            "make the bundle again with edge-lpr export"
        )
    return models["fp32"].read()


class _Part:
    """Detector or recognizer on their way to another precision."""

    def __init__(
        self,
        bundle: Bundle,
        part: Part,
        model: onnx.ModelProto,
        data: bytes,
        material: CalibrationData,
        options: CalibrationOptions,
        stage: Stage,
        report: Callable[[str], None],
    ) -> None:
        self.part: Part = part
        self.model = model
        self.material = material
        self.options = options
        self.stage = stage
        self.report = report
        self.task: DetObjective | RecObjective
        if part == "det":
            self.inputs = material.det_inputs
            # The images are in the order of their names, so neighbours are alike.
            step = max(1, len(self.inputs) // PROBE_SCENES)
            probes = slice(0, step * PROBE_SCENES, step)
            windows = list(map(window, self.inputs[probes], material.det_outputs[probes]))
            backend = RecordingBackend(OnnxRuntimeBackend(model.SerializeToString(), device="cpu"))
            for part_of_scene in windows:
                backend.run({bundle.det.input_name: part_of_scene})
            maps = [outputs[bundle.det.output_name] for outputs in backend.outputs]
            self.task = DetObjective(bundle.det, material.validation, windows, maps)
        else:
            backend = RecordingBackend(OnnxRuntimeBackend(model.SerializeToString(), device="cpu"))
            recognizer = Recognizer(backend, bundle.rec)
            with stage("rec: network inputs", len(material.crops)) as meter:
                for start in range(0, len(material.crops), REC_BATCH):
                    batch = material.crops[start : start + REC_BATCH]
                    recognizer.probabilities(batch)
                    meter.update(len(batch))
            self.inputs = [inputs[bundle.rec.input_name] for inputs in backend.inputs]
            shown = random.Random(options.seed).sample(material.crops, min(PROBE_CROPS, len(material.crops)))
            crops, texts = zip(*material.plates, strict=True) if material.plates else ((), ())
            references = Recognizer(
                OnnxRuntimeBackend(model.SerializeToString(), device="cpu"), bundle.rec
            ).probabilities(shown)
            self.task = RecObjective(bundle.rec, crops, texts, shown, references)
        settings = {k: v for k, v in bundle.raw[part].items() if k != "precisions"}
        key = cache_key(data, json.dumps(settings, sort_keys=True), material.sha256, material.validation_key)
        path = None if options.cache is None else options.cache / f"{part}-{key[:32]}.json"
        self.cache = Cache(path)

    def make(self, precision: str) -> tuple[bytes, dict[str, Any]]:
        """Makes one precision; returns the ONNX file and what bundle.json says of it."""
        with self.stage(f"{self.part}: {precision}", None) as meter:
            self.task.tick = meter.update
            made, entry = self._fp16(meter) if precision == "fp16" else self._int8(meter)
        self.task.tick = None
        data: bytes = made.SerializeToString()
        before, after = entry["accuracy"]["fp32"], entry["accuracy"][precision]
        share = len(data) / len(self.model.SerializeToString())
        self.report(
            f"{self.part} {precision}: {self.task.metric} {after:.4f} (fp32 {before:.4f}), "
            f"{len(data) / 1e6:.2f} MB ({share:.0%} of fp32)"
        )
        return data, entry

    def _reference(self) -> float:
        return self.cache.get("fp32", lambda: self.task.accuracy(self.model))

    def _accuracy(self, precision: str, value: float) -> dict[str, Any]:
        count = len(self.material.validation) if self.part == "det" else len(self.material.plates)
        unit = "scenes" if self.part == "det" else "plates"
        truth = "labels" if self.material.labelled else "fp32's own readings"
        return {
            "metric": self.task.metric,
            "fp32": round(self._reference(), 6),
            precision: round(value, 6),
            unit: count,
            "truth": truth,
        }

    def _fp16(self, meter: Meter) -> tuple[onnx.ModelProto, dict[str, Any]]:
        reasons = find_overflows(self.model, self.inputs[:OVERFLOW_BATCHES], meter.update)
        graph = OnnxGraph(self.model)
        to_fp16(graph, reasons)
        made = graph.to_model(f"{self.part}_fp16")
        value = self.cache.get("fp16", lambda: self.task.accuracy(made))
        for name, why in reasons.items():
            self.report(f"{self.part} fp16: {name} stays in FP32: {why}")
        if value < self._reference() - FP16_BUDGET:
            self.material.warnings.append(
                f"{self.part} fp16 loses {100 * (self._reference() - value):.2f} points, more than 0.1"
            )
        kept = [{"layer": name, "why": why} for name, why in reasons.items()]
        return made, {"kept_in_fp32": kept, "accuracy": self._accuracy("fp16", value)}

    def _int8(self, meter: Meter) -> tuple[onnx.ModelProto, dict[str, Any]]:
        graph = OnnxGraph(self.model)
        shapes = observe_shapes(graph, self.inputs[0])
        stats = observe(self.model, watch(find_layers(graph)), self.inputs, meter.update)
        search = Search(
            self.model,
            stats,
            shapes,
            self.task,
            self.cache,
            lambda line: self.report(f"{self.part} int8: {line}"),
        )
        spare = SPARE[self.part] if self.options.spare is None else self.options.spare
        found = search.run(self.options.budget, spare)
        if self.cache.remembered:
            count = len(self.cache.remembered)
            self.report(f"{self.part} int8: {count} figures remembered from an earlier run")
        return found.model, {
            "ranges": found.recipe.method,
            "migration_alpha": found.recipe.alpha,
            "int8_multiply_adds": round(found.share, 4),
            "layers": len(search.layers),
            "float_type": "float32",
            "kept_in_float": [{"layer": name, "why": why} for name, why in found.kept.items()],
            "accuracy": self._accuracy("int8", found.accuracy),
        }


def _end_to_end(
    bundle: Bundle,
    models: Mapping[Part, onnx.ModelProto],
    made: Mapping[tuple[Part, str], tuple[bytes, dict[str, Any]]],
    material: CalibrationData,
    options: CalibrationOptions,
    stage: Stage,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Reads the validation scenes with each precision of both models together, which no search looked at.

    Returns:
        Plates labelled, and plates read exactly by precision.
    """
    hits: dict[str, int] = {}
    labelled = 0
    with stage("end to end", len(material.validation) * (1 + len(options.precisions))) as meter:
        for precision in (REFERENCE, *options.precisions):
            det, rec = (
                models[part].SerializeToString() if precision == REFERENCE else made[part, precision][0]
                for part in PARTS
            )
            opened = Models(
                OnnxRuntimeBackend(det, precision, device="cpu"),
                OnnxRuntimeBackend(rec, precision, device="cpu"),
                "made here",
            )
            with PlateReader(bundle.path, models=opened) as reader:
                score = evaluate_reader("e2e", reader, material.validation, tick=meter.update).all
            hits[precision], labelled = score.hits, score.labelled
    for precision in options.precisions:
        report(f"end to end {precision}: {hits[precision]} of {labelled} plates (fp32 {hits['fp32']})")
        lost = hits["fp32"] - hits[precision]
        if lost > max(1, options.budget * labelled):  # one plate is chance: FP16 loses or wins one too
            warning = (
                f"{precision} loses {lost} of {labelled} plates end to end, more than "
                f"{100 * options.budget:g} points: more or more varied images may help"
            )
            material.warnings.append(warning)
            report(f"warning: {warning}")
    return {"plates": labelled, "read": hits}


def _calibration(material: CalibrationData, options: CalibrationOptions) -> dict[str, Any]:
    return {
        "created": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "seed": options.seed,
        "budget_points": round(100 * options.budget, 4),
        "images": material.names,
        "sha256": material.sha256,
        "crops": len(material.crops),
    }


def add_precisions(
    bundle: Bundle, made: dict[tuple[Part, str], tuple[bytes, dict[str, Any]]], calibration: dict[str, Any]
) -> None:
    """Adds model files to a bundle.

    New files get names that the bundle does not use yet; then bundle.json is replaced in one step; then the
    files that it no longer names are deleted. So at any moment the folder is a whole bundle, old or new.

    Raises:
        OutputError: A file cannot be written.
    """
    raw = copy.deepcopy(dict(bundle.raw))
    used = {m.path for models in (bundle.det, bundle.rec) for m in models.precisions.values()}
    old: set[Path] = set()
    for (part, precision), (data, entry) in made.items():
        sha256 = hashlib.sha256(data).hexdigest()
        name = f"{part}.{precision}.onnx"
        previous = (bundle.det if part == "det" else bundle.rec).precisions.get(precision)
        if bundle.path / name in used:
            name = f"{part}.{precision}.{sha256[:12]}.onnx"
        if previous is not None and previous.sha256 == sha256:
            name = previous.path.name
        else:
            write_bytes(bundle.path / name, data)
            if previous is not None:
                old.add(previous.path)
        raw[part]["precisions"][precision] = {"file": name, "sha256": sha256, "bytes": len(data), **entry}
    raw["calibration"] = calibration
    text = json.dumps(raw, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    write_bytes(bundle.path / "bundle.json", text.encode())
    for path in old:
        path.unlink(missing_ok=True)
