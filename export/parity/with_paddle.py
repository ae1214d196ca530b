"""Runs Paddle and the converted graphs on the same images and crops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import onnx

from edge_lpr.bundle.manifest import DetSpec
from edge_lpr.export.paddle_model import PaddleModel
from edge_lpr.export.parity.comparison import (
    Comparison,
    Floats,
    Runner,
    compare_boxes,
    compare_texts,
    cut_reference,
    normalised,
)
from edge_lpr.export.parity.reference import reference_crops, reference_images
from edge_lpr.geometry import crop_quad
from edge_lpr.pipeline.detector import input_size
from edge_lpr.pipeline.recognizer import fit_crop
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.types import Image, Size

__all__ = ["DetGraphs", "RecGraphs", "compare_det", "compare_rec", "fixed_sides"]

_CROPS_PER_IMAGE = 4
_BATCH = 8

Reference = list[tuple[Image, Floats]]


@dataclass
class DetGraphs:
    """Detection in the forms that are compared.

    Attributes:
        raw: As converted, float32 N×3×H×W to N×1×H×W.
        folded: As in the bundle, uint8 N×H×W×3 to N×H×W.
        mean: What is subtracted from B, G and R, in grey levels.
        std: What the difference is divided by.
        size: The bundle's size rules.
        postprocess: The bundle's DB parameters.
    """

    raw: onnx.ModelProto
    folded: onnx.ModelProto
    mean: Sequence[float]
    std: Sequence[float]
    size: Mapping[str, Any]
    postprocess: Mapping[str, Any]

    def rules(self) -> DetSpec:
        """Returns size rules and parameters as the runtime has them."""
        sides = (self.size["limit_side_len"], self.size["limit_type"], self.size["max_side_len"])
        return DetSpec("image", "prob", self.size["stride"], *sides, self.postprocess, {})


@dataclass
class RecGraphs:
    """Recognition in the forms that are compared.

    Attributes:
        raw: As converted, float32 N×3×height×W to N×T×C.
        folded: With uint8 input and the whole head.
        cut: With the head cut to `keep`; None where it is not.
        mean: What is subtracted from B, G and R, in grey levels.
        std: What the difference is divided by.
        charset: Characters of the whole head.
        kept: Characters of the cut head.
        keep: Classes of the cut head.
        height: Height of the input, in pixels.
        widths: Widths of the input that the bundle names, in pixels.
    """

    raw: onnx.ModelProto
    folded: onnx.ModelProto
    cut: onnx.ModelProto | None
    mean: Sequence[float]
    std: Sequence[float]
    charset: Sequence[str]
    kept: Sequence[str]
    keep: Sequence[int]
    height: int
    widths: Sequence[int]


def compare_det(
    model: PaddleModel, graphs: DetGraphs, images: Mapping[str, Image]
) -> tuple[list[Comparison], dict[str, Image], Reference]:
    """Compares detection on images, each at the size that the runtime would give it.

    Args:
        model: The Paddle model, converted.
        graphs: What was made of it.
        images: uint8 H×W×3 BGR by name.

    Returns:
        The comparisons, crops for recognition by name (cut along Paddle's boxes, from the middle of an image
        without any), and inputs and outputs for the bundle's reference.

    Raises:
        ModelError: Paddle or ONNX Runtime cannot run the model.
    """
    rules, fixed = graphs.rules(), fixed_sides(graphs.raw)
    settings = DetectorSettings.for_model(rules)
    inputs: dict[str, Image] = {}
    for name, image in images.items():
        inputs[name] = _sized(image, fixed or input_size(rules, settings, *image.shape[:2]))
    references = [_sized(p, fixed or p.shape[:2]) for p in reference_images()]
    batches = {f"p{i}": normalised(p[None], graphs.mean, graphs.std) for i, p in enumerate(inputs.values())}
    batches |= {f"r{i}": normalised(p[None], graphs.mean, graphs.std) for i, p in enumerate(references)}
    wanted = model.run(batches)
    raw, folded = Comparison("raw"), Comparison("folded")
    run_raw, run_folded = (Runner(m.SerializeToString()) for m in (graphs.raw, graphs.folded))
    crops: dict[str, Image] = {}
    for i, (name, image) in enumerate(inputs.items()):
        truth = wanted[f"p{i}"][0, 0]
        for comparison, run, given in (
            (raw, run_raw, batches[f"p{i}"]),
            (folded, run_folded, image[None]),
        ):
            found = run(given)
            prob = found.reshape(truth.shape)
            comparison.add(prob, truth, partial(run.rounding, given, found), [name])
            boxes = compare_boxes(comparison, prob, truth, settings, name)
        for k, box in enumerate(boxes[:_CROPS_PER_IMAGE]):
            crops[f"{name}, box {k + 1}"] = crop_quad(image, box.astype(np.float32))
        if not boxes:
            crops[f"{name}, middle"] = _middle(image)
    return [raw, folded], crops, [(p, wanted[f"r{i}"][0, 0]) for i, p in enumerate(references)]


def compare_rec(
    model: PaddleModel, graphs: RecGraphs, crops: Mapping[str, Image]
) -> tuple[list[Comparison], Reference]:
    """Compares recognition on crops, at each width that the bundle names.

    Args:
        model: The Paddle model, converted.
        graphs: What was made of it.
        crops: uint8 h×w×3 BGR by name.

    Returns:
        The comparisons, and inputs and outputs for the bundle's reference.

    Raises:
        ModelError: Paddle or ONNX Runtime cannot run the model.
    """
    step = 1 if graphs.raw.graph.input[0].type.tensor_type.shape.dim[0].dim_value > 0 else _BATCH
    names = list(crops)
    parts = {
        (width, i): np.stack([fit_crop(c, graphs.height, width) for c in list(crops.values())[i : i + step]])
        for width in graphs.widths
        for i in range(0, len(crops), step)
    }
    references = reference_crops(graphs.height, graphs.widths[-1])
    batches = {f"p{w}_{i}": normalised(p, graphs.mean, graphs.std) for (w, i), p in parts.items()}
    batches |= {f"r{i}": normalised(c[None], graphs.mean, graphs.std) for i, c in enumerate(references)}
    wanted = model.run(batches)
    stages = [
        (Comparison("raw"), Runner(graphs.raw.SerializeToString())),
        (Comparison("folded"), Runner(graphs.folded.SerializeToString())),
    ]
    if graphs.cut is not None:
        stages.append((Comparison("cut"), Runner(graphs.cut.SerializeToString())))
    for (width, i), part in parts.items():
        key, called = f"p{width}_{i}", [f"{name} ({width} px)" for name in names[i : i + step]]
        for comparison, run in stages:
            cut = comparison.stage == "cut"
            truth = cut_reference(wanted[key], graphs.keep) if cut else wanted[key]
            given = batches[key] if comparison.stage == "raw" else part
            found = run(given)
            comparison.add(found, truth, partial(run.rounding, given, found), called)
            charset = graphs.kept if cut else graphs.charset
            for k, name in enumerate(called):
                compare_texts(comparison, found[k], truth[k], charset, cut, name)
    final = [wanted[f"r{i}"] for i in range(len(references))]
    if graphs.cut is not None:
        final = [cut_reference(f, graphs.keep) for f in final]
    return [c for c, _ in stages], [(c, f[0]) for c, f in zip(references, final, strict=True)]


def fixed_sides(model: onnx.ModelProto) -> Size | None:
    """Returns height and width of a converted model's input, in pixels, where they are not free."""
    dims = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    return (dims[2], dims[3]) if len(dims) == 4 and dims[2] > 0 and dims[3] > 0 else None


def _sized(image: Image, size: tuple[int, ...]) -> Image:
    return cv2.resize(image, (size[1], size[0])).astype(np.uint8)


def _middle(image: Image) -> Image:
    height, width = image.shape[:2]
    return np.ascontiguousarray(image[height * 2 // 5 : height * 3 // 5, width // 4 : width * 3 // 4])
