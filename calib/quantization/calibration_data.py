"""The images of a calibration: those that ranges come from, and those that accuracy is measured on."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend
from edge_lpr.backends.recording import RecordingBackend
from edge_lpr.bundle.manifest import Bundle
from edge_lpr.calib.quantization.cache import cache_key
from edge_lpr.calib.quantization.calibration_set import digest, select
from edge_lpr.calib.quantization.options import CalibrationOptions
from edge_lpr.counting import counted
from edge_lpr.datasets.content import content_hash, content_name
from edge_lpr.datasets.labels import LabelledPlate, Labels, Sample
from edge_lpr.errors import InputError
from edge_lpr.geometry import crop_quad
from edge_lpr.pipeline.ctc import PlateDecoder
from edge_lpr.pipeline.detector import Detector
from edge_lpr.pipeline.recognizer import Recognizer
from edge_lpr.pipeline.settings import ReadSettings
from edge_lpr.types import Batch, Image, Part

__all__ = ["CalibrationData", "Meter", "Stage", "collect"]

# Below these calibration is done all the same, and said to be thin.
FEW_SCENES, FEW_CROPS = 32, 64
# Crops that go through the recognizer at once: what a range is seen on.
REC_BATCH = 16


class Meter(Protocol):
    """What counts the units of a step; `edge_lpr.console.progress.Progress` is one."""

    def update(self, n: int = 1) -> None:
        """Counts n units."""
        ...


# From a label and a total to a context that counts: how the command shows progress.
Stage = Callable[[str, int | None], AbstractContextManager[Meter]]


@dataclass
class CalibrationData:
    """The images of a calibration.

    Attributes:
        det_inputs: The detector's inputs that its ranges come from, one of each scene, uint8 1×H×W×3 BGR
            each.
        det_outputs: What FP32 makes of them, float32 1×H×W each.
        rec_inputs: The recognizer's inputs that its ranges come from, uint8 N×height×W×3 BGR each.
        crops: The crops in them: what detection cut out of the scenes, and labelled ones.
        names: What the bundle calls all of these images, by their contents: a bundle is given away, and files
            of plates are often named after them.
        sha256: Digest over their contents.
        validation: Labelled scenes that the accuracy is measured on.
        plates: Crops and texts that it is measured on.
        validation_key: What tells this validation set from another.
        labelled: Whether the labels are a person's; else they are FP32's own readings.
        scenes: The scenes that the detector's ranges come from, with the plates that FP32 finds and reads.
        warnings: What is thin or unsuitable.
        unread: A line for each image that cannot be read.
    """

    det_inputs: list[Batch]
    det_outputs: list[NDArray[np.float32]]
    rec_inputs: list[Batch]
    crops: list[Image]
    names: list[str]
    sha256: str
    validation: list[Sample]
    plates: list[tuple[Image, str]]
    validation_key: str
    labelled: bool
    scenes: list[Sample] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def collect(
    bundle: Bundle,
    models: Mapping[Part, onnx.ModelProto],
    labels: Labels,
    sources: Sequence[str | Path],
    options: CalibrationOptions,
    stage: Stage,
) -> CalibrationData:
    """Chooses the images, cuts plates out of them, and runs FP32 on them.

    Args:
        bundle: The bundle that is calibrated.
        models: Its FP32 models.
        labels: The images and what is known of them.
        sources: Where they came from, for names and messages.
        options: How many, and the seed.
        stage: Opens the progress of a step.

    Raises:
        InputError: No scene can be read, or none shows a plate.
    """
    scenes, crops = labels.scenes, labels.crops
    warnings = []
    if labels.problems:
        warnings.append(f"{counted(len(labels.problems), 'labels')} skipped; the first: {labels.problems[0]}")
    # Half of what there is stays for validation, which must not be what the ranges were fitted to.
    scene_count = min(options.images, max(1, len(scenes) // 2)) if scenes else 0
    crop_count = min(2 * options.images, len(crops) // 2)
    with stage("choosing images", None) as meter:
        chosen, bad = select(scenes, scene_count, options.seed, meter.update) if scenes else ([], [])
        chosen_crops, bad_crops = select(crops, crop_count, options.seed, meter.update) if crops else ([], [])
    if not chosen:
        raise InputError(
            f"{', '.join(map(str, sources))}: no scene that can be read; the detector calibrates on whole "
            "images, not on crops: give a folder of scenes"
        )
    teacher = _Teacher(bundle, models)
    with stage("cutting plates out", len(chosen)) as meter:
        found = [_found_plates(teacher, sample, meter) for sample in chosen]
    # Other texts widen the ranges; they are better than nothing for weights that read no plate yet.
    cut = [crop for _, crops, _ in found for crop in crops] or [c for *_, other in found for c in other]
    cut += [sample.read() for sample in chosen_crops]
    if not cut:
        raise InputError(
            f"{', '.join(map(str, sources))}: detection found no plate in {counted(len(chosen), 'images')}, "
            "so there is nothing to calibrate the recognizer on: give images that show plates"
        )
    if len(chosen) < FEW_SCENES:
        warnings.append(
            f"only {counted(len(chosen), 'scenes')} to calibrate the detector on; some hundreds are better"
        )
    if len(cut) < FEW_CROPS:
        warnings.append(
            f"only {counted(len(cut), 'crops')} to calibrate the recognizer on; some hundreds are better"
        )
    used = {id(sample) for sample in (*chosen, *chosen_crops)}
    rest = [sample for sample in labels.samples if id(sample) not in used]
    unread = [*bad, *bad_crops]
    validation, plates, labelled = _validation(
        bundle, models, rest or labels.samples, options, stage, unread.append
    )
    if not labelled:
        warnings.append("no labels: accuracy is agreement with FP32, not with the truth")
    files = [*chosen, *chosen_crops]
    return CalibrationData(
        det_inputs=[inputs[bundle.det.input_name] for inputs in teacher.backend.inputs],
        det_outputs=[outputs[bundle.det.output_name] for outputs in teacher.backend.outputs],
        rec_inputs=_rec_inputs(bundle, models["rec"], cut, stage),
        crops=cut,
        names=[content_name(sample.path) for sample in files],
        sha256=digest([content_hash(sample.path) for sample in files]),
        validation=validation,
        plates=plates,
        validation_key=cache_key(*(s.path.name for s in validation), *(text for _, text in plates)),
        labelled=labelled,
        scenes=[scene for scene, *_ in found],
        warnings=warnings,
        unread=list(dict.fromkeys(unread)),
    )


def _rec_inputs(bundle: Bundle, model: onnx.ModelProto, crops: Sequence[Image], stage: Stage) -> list[Batch]:
    """Records what crops become on their way into the recognizer."""
    backend = RecordingBackend(OnnxRuntimeBackend(model.SerializeToString(), device="cpu"))
    recognizer = Recognizer(backend, bundle.rec)
    with stage("rec: network inputs", len(crops)) as meter:
        for start in range(0, len(crops), REC_BATCH):
            batch = crops[start : start + REC_BATCH]
            recognizer.probabilities(batch)
            meter.update(len(batch))
    return [inputs[bundle.rec.input_name] for inputs in backend.inputs]


def _found_plates(teacher: _Teacher, sample: Sample, meter: Meter) -> tuple[Sample, list[Image], list[Image]]:
    """Cuts out what detection really finds in a plate's shape.

    Returns:
        The scene with what reads as a plate, those cut out, and the others.
    """
    image = sample.read()
    boxes = [(box.corners, crop_quad(image, box.corners)) for box in teacher.detector.detect(image)]
    meter.update(1)
    boxes = [(corners, crop) for corners, crop in boxes if ReadSettings().has_plate_shape(crop)]
    plates: list[LabelledPlate] = []
    crops: tuple[list[Image], list[Image]] = ([], [])
    readings = teacher.recognizer.probabilities([crop for _, crop in boxes])
    for (corners, crop), probs in zip(boxes, readings, strict=True):
        decoded = teacher.decoder.decode(probs)
        if decoded.format is not None:
            plates.append(LabelledPlate(decoded.text, corners))
        crops[decoded.format is None].append(crop)
    return Sample(sample.path, tuple(plates), sample.subset), *crops


def _validation(
    bundle: Bundle,
    models: Mapping[Part, onnx.ModelProto],
    samples: Sequence[Sample],
    options: CalibrationOptions,
    stage: Stage,
    on_unread: Callable[[str], None],
) -> tuple[list[Sample], list[tuple[Image, str]], bool]:
    shuffled = random.Random(options.seed).sample(list(samples), len(samples))
    located = [s for s in shuffled if s.located]
    labelled = any(s.plates for s in located)
    candidates = located if labelled else [s for s in shuffled if not s.crop]
    scenes: list[Sample] = []
    plates: list[tuple[Image, str]] = []
    with stage("validation images", min(options.validation, len(candidates))) as meter:
        teacher = None if labelled else _Teacher(bundle, models)
        for sample in candidates[: options.validation]:
            try:
                image = sample.read()
            except InputError as e:
                on_unread(str(e))
                continue
            known = sample.plates or () if teacher is None else teacher.read(image)
            scenes.append(Sample(sample.path, tuple(known), sample.subset))
            plates += [
                (crop_quad(image, p.corners), p.text)
                for p in known
                if p.corners is not None and not p.ignored and p.text
            ]
            meter.update(1)
    limit = 4 * options.validation
    crops = [s for s in shuffled if s.crop and any(not plate.ignored for plate in s.plates or ())]
    for sample in crops[: max(0, limit - len(plates))]:
        try:
            plates.append((sample.read(), (sample.plates or ())[0].text))
        except InputError as e:
            on_unread(str(e))
    return scenes, plates[:limit], labelled


class _Teacher:
    """FP32 in the place of a person who labels."""

    def __init__(self, bundle: Bundle, models: Mapping[Part, onnx.ModelProto]) -> None:
        self.backend = RecordingBackend(OnnxRuntimeBackend(models["det"].SerializeToString(), device="cpu"))
        self.detector = Detector(self.backend, bundle.det)
        self.recognizer = Recognizer(
            OnnxRuntimeBackend(models["rec"].SerializeToString(), device="cpu"), bundle.rec
        )
        self.decoder = PlateDecoder(bundle.rec.charset, bundle.rec.unknown_class)

    def read(self, image: Image) -> list[LabelledPlate]:
        """Returns every box and what is read in it."""
        corners = [box.corners for box in self.detector.detect(image)]
        probabilities = self.recognizer.probabilities([crop_quad(image, c) for c in corners])
        return [
            LabelledPlate(self.decoder.decode(p).text, c) for p, c in zip(probabilities, corners, strict=True)
        ]
