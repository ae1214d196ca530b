"""Adds precisions to a bundle, with the accuracy that they were measured to have.

How a precision is made stands in its own module, which `edge_lpr.precisions` names.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import onnx

from edge_lpr.backends import Models
from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend
from edge_lpr.bundle.manifest import Bundle, load_bundle
from edge_lpr.bundle.writer import NewModel, add_precisions
from edge_lpr.calib.quantization.cache import Cache, cache_key
from edge_lpr.calib.quantization.calibration_data import CalibrationData, Stage, collect
from edge_lpr.calib.quantization.evidence import Present
from edge_lpr.calib.quantization.job import Job, Maker
from edge_lpr.calib.quantization.objectives import Objective, det_objective, rec_objective
from edge_lpr.calib.quantization.options import CalibrationOptions
from edge_lpr.counting import counted
from edge_lpr.datasets.labels import load_labels
from edge_lpr.errors import BundleError, EdgeLprError
from edge_lpr.evaluation.evaluate import evaluate_reader
from edge_lpr.onnx_graph.graph import OnnxGraph, load_onnx
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.precisions import PRECISIONS, REFERENCE
from edge_lpr.types import PARTS, Part

__all__ = ["calibrate"]


def calibrate(
    bundle: str | Path,
    sources: Sequence[str | Path],
    options: CalibrationOptions,
    stage: Stage,
    report: Callable[[str], None],
    on_unread: Callable[[str], None] | None = None,
) -> tuple[str, ...]:
    """Adds models of other precisions to a bundle.

    The bundle changes at the very end, in one step: interrupted before, it is as it was. A precision that it
    holds already is kept where too few plates would judge the new one, or where that reads them worse
    (`edge_lpr.calib.quantization.evidence`), unless `options.force`.

    Args:
        bundle: The bundle's folder.
        sources: Labelled images (`load_labels`), or folders of images without labels.
        options: Which precisions, and how.
        stage: Opens the progress of a step.
        report: Called with a line for each finding.
        on_unread: Called with a line for each image that cannot be read and is left out; None reports it.

    Returns:
        The precisions that were made; of one that was kept, a warning was reported.

    Raises:
        BundleError: The bundle cannot be read or has no FP32 models.
        InputError: The images cannot be used, or too few plates judge anything that was asked for.
        EdgeLprError: All that was made is worse than what is there.
        OutputError: The bundle cannot be written.
    """
    opened = load_bundle(bundle)
    files = {part: _fp32(opened, part) for part in PARTS}
    models = {
        part: OnnxGraph(load_onnx(files[part], f"{opened.path}: {part}")).to_model(part) for part in PARTS
    }
    labels = load_labels(sources, unlabelled=True)
    data = collect(opened, models, labels, sources, options, stage)
    for note in labels.notes:
        report(note)
    for warning in data.warnings:
        report(f"warning: {warning}")
    for line in (*labels.unread, *data.unread):
        (on_unread or report)(f"left out: {line}")
    present = Present(opened, options)
    wanted = present.admitted(data, report)
    made: dict[tuple[Part, str], NewModel] = {}
    kept: dict[str, str] = {}
    for part in options.parts:
        job = Job(
            part=part,
            model=models[part],
            inputs=data.det_inputs if part == "det" else data.rec_inputs,
            objective=_objective(opened, part, models[part], data, options),
            cache=_cache(opened, part, files[part], data, options),
            options=options,
            report=report,
            data=data,
        )
        for precision in wanted:
            if precision in kept:
                continue
            made[part, precision] = _make(job, precision, stage)
            accuracy = made[part, precision].facts["accuracy"][precision]
            if why := present.objection(job, precision, accuracy, stage):
                kept[precision] = why
    wanted = tuple(precision for precision in wanted if precision not in kept)
    if not wanted:
        raise EdgeLprError("; ".join(kept.values()))
    for why in kept.values():
        report(f"warning: {why}")
    made = {(part, precision): model for (part, precision), model in made.items() if precision in wanted}
    calibration = _calibration(data, options) | {"precisions": list(wanted)}
    if data.labelled:
        calibration["end_to_end"] = _end_to_end(opened, models, made, data, options, stage, report)
    add_precisions(opened, made, calibration)
    return wanted


def _fp32(bundle: Bundle, part: Part) -> bytes:
    models = (bundle.det if part == "det" else bundle.rec).precisions
    if REFERENCE not in models:
        raise BundleError(
            f"{bundle.path}: no fp32 model of {part!r}, only {', '.join(models)}; calibration needs it: "
            "make the bundle again with edge-lpr export"
        )
    return models[REFERENCE].read()


def _objective(
    bundle: Bundle, part: Part, model: onnx.ModelProto, data: CalibrationData, options: CalibrationOptions
) -> Objective:
    if part == "det":
        return det_objective(bundle.det, model, data.det_inputs, data.det_outputs, data.validation)
    return rec_objective(bundle.rec, model, data.crops, data.plates, options.seed)


def _cache(
    bundle: Bundle, part: Part, file: bytes, data: CalibrationData, options: CalibrationOptions
) -> Cache:
    """Opens the figures that depend on this model, its settings and these images."""
    settings = {k: v for k, v in bundle.raw[part].items() if k != "precisions"}
    key = cache_key(file, json.dumps(settings, sort_keys=True), data.sha256, data.validation_key)
    return Cache(None if options.cache is None else options.cache / f"{part}-{key[:32]}.json")


def _make(job: Job, precision: str, stage: Stage) -> NewModel:
    """Has a precision's own module make it."""
    maker = cast(Maker, import_module(PRECISIONS[precision].maker))
    with stage(f"{job.part}: {precision}", None) as meter:
        job.objective.tick = meter.update
        model, facts = maker.make(job, meter.update)
    job.objective.tick = None
    data: bytes = model.SerializeToString()
    before, after = facts["accuracy"][REFERENCE], facts["accuracy"][precision]
    share = len(data) / len(job.model.SerializeToString())
    job.report(
        f"{job.part} {precision}: {job.objective.metric} {after:.4f} (fp32 {before:.4f}), "
        f"{len(data) / 1e6:.2f} MB ({share:.0%} of fp32)"
    )
    return NewModel(data, facts)


def _end_to_end(
    bundle: Bundle,
    models: Mapping[Part, onnx.ModelProto],
    made: Mapping[tuple[Part, str], NewModel],
    data: CalibrationData,
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
    wanted = list(dict.fromkeys(precision for _, precision in made))
    with stage("end to end", len(data.validation) * (1 + len(wanted))) as meter:
        for precision in (REFERENCE, *wanted):
            det, rec = (_model(bundle, models, made, part, precision) for part in PARTS)
            opened = Models(
                OnnxRuntimeBackend(det, precision, device="cpu"),
                OnnxRuntimeBackend(rec, precision, device="cpu"),
                "made here",
            )
            with PlateReader(bundle.path, models=opened) as reader:
                score = evaluate_reader("e2e", reader, data.validation, tick=meter.update).all
            hits[precision], labelled = score.hits, score.labelled
    for precision in wanted:
        report(f"end to end {precision}: {hits[precision]} of {labelled} plates (fp32 {hits[REFERENCE]})")
        lost = hits[REFERENCE] - hits[precision]
        if lost > max(1, options.budget / 100 * labelled):  # one plate is chance: FP16 loses or wins one too
            report(
                f"warning: {precision} loses {lost} of {labelled} plates end to end, more than "
                f"{counted(f'{options.budget:g}', 'points')}: more or more varied images may help"
            )
    return {"plates": labelled, "read": hits}


def _model(
    bundle: Bundle,
    models: Mapping[Part, onnx.ModelProto],
    made: Mapping[tuple[Part, str], NewModel],
    part: Part,
    precision: str,
) -> bytes:
    """Returns a network as it will be read with: as made here, else as the bundle has it, else in FP32."""
    if (part, precision) in made:
        return made[part, precision].data
    there = bundle.files()[part]
    if precision != REFERENCE and precision in there:
        return there[precision].read()
    data: bytes = models[part].SerializeToString()
    return data


def _calibration(data: CalibrationData, options: CalibrationOptions) -> dict[str, Any]:
    return {
        "created": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "seed": options.seed,
        "budget_points": round(options.budget, 4),
        "images": data.names,
        "sha256": data.sha256,
        "crops": len(data.crops),
    }
