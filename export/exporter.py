"""From two Paddle models to one verified bundle."""

from __future__ import annotations

import hashlib
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import onnx

from edge_lpr.bundle import Bundle, DetModel
from edge_lpr.detect import DetectorSettings, input_size
from edge_lpr.errors import ModelError
from edge_lpr.export.adapt import (
    DET_MEAN,
    DET_STD,
    REC_MEAN,
    REC_STD,
    det_model,
    head_classes,
    rec_model,
    simplified,
)
from edge_lpr.export.bundle_writer import DET_POSTPROCESS, DET_SIZE, BundleParts, write_bundle
from edge_lpr.export.charset import charset_for_head, check_charset, keep_classes
from edge_lpr.export.convert import PaddleModel, open_model
from edge_lpr.export.graph import load_onnx
from edge_lpr.export.parity import (
    BOUND,
    Comparison,
    Floats,
    Image,
    Runner,
    compare_boxes,
    compare_texts,
    cut_reference,
    normalised,
    probe_pictures,
)
from edge_lpr.export.reference import FILE as REFERENCE
from edge_lpr.export.reference import pack_reference, reference_crops, reference_pictures
from edge_lpr.recognize import PADDING, crop_plate

__all__ = ["Export", "ExportSettings", "export_bundle"]

_CROPS_PER_PICTURE = 4
_REC_BATCH = 8

Notify = Callable[[str], None]


@dataclass(frozen=True)
class ExportSettings:
    """What an export is asked to do.

    Attributes:
        det: The detection model: a `.pdparams` checkpoint or an inference model.
        rec: The recognition model, likewise.
        charset: The recognition's dictionary; None takes that of its `inference.yml`.
        charset_label: What error messages call the dictionary.
        use_space_char: PaddleOCR's setting of that name; None lets the head's size decide.
        keep: Characters that the head is cut to; None keeps the whole head.
        branch: Which network of a distillation checkpoint.
        rec_widths: Widths of the recognition's input, in pixels; None takes the model's own, or 320.
        rec_fit: How the runtime brings a crop to such a width, "pad" or "stretch": as the model was trained.
        det_limit: `det_limit_side_len` of the bundle, in pixels; None takes the model's own, or 736.
        name: The bundle's name.
        licence: SPDX identifier of the weights' licence.
        pictures: uint8 H×W×3 BGR by name, to compare on; None draws some.
        drawn: How many are drawn.
        bound: Largest difference of a probability that is accepted.
    """

    det: Path
    rec: Path
    charset: tuple[str, ...] | None = None
    charset_label: str = "the dictionary"
    use_space_char: bool | None = None
    keep: tuple[str, ...] | None = None
    branch: str = "Student"
    rec_widths: tuple[int, ...] | None = None
    rec_fit: Literal["pad", "stretch"] = "pad"
    det_limit: int | None = None
    name: str = "exported"
    licence: str = "unknown"
    pictures: Mapping[str, Image] | None = None
    drawn: int = 20
    bound: float = BOUND


@dataclass
class Export:
    """The graphs that an export made, and how they compare with Paddle.

    Attributes:
        parts: What goes into the bundle.
        comparisons: By part.
        report: The parity report, as it is written.
        reference: Bytes of the bundle's `reference.npz`.
    """

    parts: BundleParts
    comparisons: dict[str, list[Comparison]] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    reference: bytes = b""

    @property
    def passed(self) -> bool:
        """Whether every comparison kept its bound."""
        return bool(self.report["passed"])

    def write(self, out: str | Path, report: str) -> Bundle:
        """Writes the bundle with its report and reference; see `write_bundle`."""
        return write_bundle(self.parts, out, {"parity.json": report.encode(), REFERENCE: self.reference})


def export_bundle(
    settings: ExportSettings, notify: Notify = lambda _: None, bundle: Bundle | None = None
) -> Export:
    """Converts two Paddle models, makes the bundle's graphs of them, and compares these with Paddle.

    Args:
        settings: What to export.
        notify: Called with the name of each step as it begins.
        bundle: A bundle that was made before: it is compared with Paddle, instead of new graphs.

    Returns:
        The graphs and their comparison; nothing is written yet.

    Raises:
        ModelError: A model cannot be used.
        MissingExtraError: Paddle is not installed.
    """
    began = time.monotonic()
    det = open_model(settings.det, "det", settings.branch)
    rec = open_model(settings.rec, "rec", settings.branch)
    try:
        # The dictionary is what most often does not fit: it is looked at as soon as the head is known.
        if rec.classes is not None:
            _full_charset(settings, rec, rec.classes)
        notify("converting recognition")
        raw_rec = rec.convert()
        with _naming(rec):
            classes = head_classes(simplified(raw_rec, (None, None)))
        charset = _full_charset(settings, rec, classes)
        notify("converting detection")
        raw_det = det.convert()
        notify("folding")
        exported = _Exporter(settings, det, rec, raw_det, raw_rec, charset)
        if bundle is not None:
            exported.take(bundle)
        exported.compare(notify)
    finally:
        det.close()
        rec.close()
    return exported.result(time.monotonic() - began)


class _Exporter:
    def __init__(
        self,
        settings: ExportSettings,
        det: PaddleModel,
        rec: PaddleModel,
        raw_det: onnx.ModelProto,
        raw_rec: onnx.ModelProto,
        charset: tuple[str, ...],
    ) -> None:
        self.settings, self.det, self.rec = settings, det, rec
        self.raw_det, self.raw_rec = raw_det, raw_rec
        self.mean = tuple(255 * m for m in det.config.mean) if det.config.mean else DET_MEAN
        self.std = tuple(255 * s for s in det.config.std) if det.config.std else DET_STD
        self.height, self.widths = _rec_size(settings, rec, raw_rec)
        with _naming(det):
            self.folded_det = det_model(raw_det, self.mean, self.std)
        with _naming(rec):
            self.folded_rec = rec_model(raw_rec, self.height)
        self.full_charset = charset
        self.keep = (
            None
            if settings.keep is None
            else keep_classes(self.full_charset, settings.keep, _label(self.settings, self.rec))
        )
        self.cut_rec = None if self.keep is None else rec_model(raw_rec, self.height, self.keep)
        self.parts = self._parts()
        self.comparisons: dict[str, list[Comparison]] = {}
        self.reference = b""

    def _parts(self) -> BundleParts:
        kept = self.settings.keep
        post = {**DET_POSTPROCESS, **self.det.config.postprocess}
        return BundleParts(
            name=self.settings.name,
            licence=self.settings.licence,
            origin={"det": _origin(self.det), "rec": _origin(self.rec), "converter": _versions()},
            det=self.folded_det,
            rec=self.folded_rec if self.cut_rec is None else self.cut_rec,
            charset=self.full_charset if kept is None else kept,
            other=kept is not None,
            det_arch=self.det.config.name or ("PP-OCRv3 det" if self.det.network else "PaddleOCR det (DB)"),
            rec_arch=self.rec.config.name
            or ("PP-OCRv3 rec (CTC)" if self.rec.network else "PaddleOCR rec (CTC)"),
            det_size={
                **DET_SIZE,
                **self.det.config.det_size,
                **({} if self.settings.det_limit is None else {"limit_side_len": self.settings.det_limit}),
            },
            postprocess=post,
            rec_height=self.height,
            rec_widths=self.widths,
            rec_fit=self.settings.rec_fit,
        )

    def take(self, bundle: Bundle) -> None:
        """Takes a bundle's graphs and rules in place of the new ones."""
        if bundle.rec.other:
            self.keep = keep_classes(self.full_charset, bundle.rec.charset, _label(self.settings, self.rec))
        elif bundle.rec.charset != self.full_charset:
            raise ModelError(f"{bundle.path}: has another charset than {_label(self.settings, self.rec)}")
        det = load_onnx(bundle.model("det", "fp32").read(), str(bundle.path))
        rec = load_onnx(bundle.model("rec", "fp32").read(), str(bundle.path))
        self.folded_det, self.height, self.widths = det, bundle.rec.height, bundle.rec.widths
        self.parts = replace(
            self.parts,
            charset=bundle.rec.charset,
            det_size=bundle.raw["det"]["size"],
            postprocess=bundle.det.postprocess,
        )
        if bundle.rec.other:
            self.cut_rec = rec
        else:
            self.folded_rec = rec

    def compare(self, notify: Notify) -> None:
        """Runs Paddle and the graphs on the same pictures."""
        pictures = (
            self.settings.pictures
            if self.settings.pictures is not None
            else probe_pictures(self.settings.drawn)
        )
        self.pictures = len(pictures)
        notify(f"comparing detection on {len(pictures)} pictures")
        crops, det_reference = self._compare_det(pictures)
        notify(f"comparing recognition on {len(crops)} crops")
        rec_reference = self._compare_rec(crops)
        self.reference = pack_reference(det_reference, rec_reference)

    def _compare_det(
        self, pictures: Mapping[str, Image]
    ) -> tuple[dict[str, Image], list[tuple[Image, Floats]]]:
        rules, post = self.parts.det_size, self.parts.postprocess
        model = DetModel(
            "image",
            "prob",
            rules["stride"],
            rules["limit_side_len"],
            rules["limit_type"],
            rules["max_side_len"],
            post,
            {},
        )
        settings = DetectorSettings.for_model(model)
        fixed = _fixed_sides(self.raw_det)
        inputs: dict[str, Image] = {}
        for name, picture in pictures.items():
            height, width = fixed or input_size(model, settings, *picture.shape[:2])
            inputs[name] = cv2.resize(picture, (width, height)).astype(np.uint8)
        references = reference_pictures() if fixed is None else []
        batches = {f"p{i}": normalised(p[None], self.mean, self.std) for i, p in enumerate(inputs.values())}
        batches |= {f"r{i}": normalised(p[None], self.mean, self.std) for i, p in enumerate(references)}
        wanted = self.det.run(batches)
        raw, folded = Comparison("raw"), Comparison("folded")
        run_raw = Runner(self.raw_det.SerializeToString())
        run_folded = Runner(self.folded_det.SerializeToString())
        crops: dict[str, Image] = {}
        for i, (name, picture) in enumerate(inputs.items()):
            truth = wanted[f"p{i}"][0, 0]
            for comparison, found in (
                (raw, run_raw(batches[f"p{i}"])[0, 0]),
                (folded, run_folded(picture[None])[0]),
            ):
                comparison.add(found, truth)
                boxes = compare_boxes(comparison, found, truth, settings, name)
            for k, box in enumerate(boxes[:_CROPS_PER_PICTURE]):
                crops[f"{name}, box {k + 1}"] = crop_plate(picture, box.astype(np.float32))
            if not boxes:
                crops[f"{name}, middle"] = _middle(picture)
        self.comparisons["det"] = [raw, folded]
        return crops, [(p, wanted[f"r{i}"][0, 0]) for i, p in enumerate(references)]

    def _compare_rec(self, crops: Mapping[str, Image]) -> list[tuple[Image, Floats]]:
        width = self.widths[-1]
        names = list(crops)
        fitted = np.stack([_fitted(c, self.height, width) for c in crops.values()])
        references = reference_crops(self.height, width)
        fixed_batch = self.raw_rec.graph.input[0].type.tensor_type.shape.dim[0].dim_value > 0
        step = 1 if fixed_batch else _REC_BATCH
        batches = {
            f"p{i}": normalised(fitted[i : i + step], REC_MEAN, REC_STD) for i in range(0, len(fitted), step)
        }
        batches |= {f"r{i}": normalised(c[None], REC_MEAN, REC_STD) for i, c in enumerate(references)}
        wanted = self.rec.run(batches)
        stages: list[tuple[Comparison, Runner]] = [
            (Comparison("raw"), Runner(self.raw_rec.SerializeToString())),
            (Comparison("folded"), Runner(self.folded_rec.SerializeToString())),
        ]
        if self.cut_rec is not None:
            stages.append((Comparison("cut"), Runner(self.cut_rec.SerializeToString())))
        for i in range(0, len(fitted), step):
            for comparison, run in stages:
                cut = comparison.stage == "cut"
                truth = wanted[f"p{i}"]
                truth = cut_reference(truth, self.keep or []) if cut else truth
                found = run(batches[f"p{i}"] if comparison.stage == "raw" else fitted[i : i + step])
                comparison.add(found, truth)
                charset = self.parts.charset if cut else self.full_charset
                for k in range(len(truth)):
                    compare_texts(comparison, found[k], truth[k], charset, cut, names[i + k])
        self.comparisons["rec"] = [comparison for comparison, _ in stages]
        final = [wanted[f"r{i}"] for i in range(len(references))]
        if self.keep is not None:
            final = [cut_reference(f, self.keep) for f in final]
        return [(c, f[0]) for c, f in zip(references, final, strict=True)]

    def result(self, seconds: float) -> Export:
        """Puts the report together."""
        bound = self.settings.bound
        passed = all(c.passed(bound) for cs in self.comparisons.values() for c in cs)
        pictures = "given" if self.settings.pictures is not None else "drawn"
        report = {
            "passed": passed,
            "bound": bound,
            "pictures": {"count": self.pictures, "source": pictures},
            "compared_with": "Paddle's own output (inference, CPU, graph changes off)",
            **{
                part: {c.stage: c.as_json() for c in comparisons}
                for part, comparisons in self.comparisons.items()
            },
            "ignored_parameters": {"det": self.det.ignored, "rec": self.rec.ignored},
            "seconds": round(seconds, 1),
            "peak_memory_mb": _peak_memory_mb(),
            "versions": _versions(),
        }
        return Export(self.parts, self.comparisons, report, self.reference)


def _label(settings: ExportSettings, rec: PaddleModel) -> str:
    return settings.charset_label if settings.charset else f"{rec.source} (inference.yml)"


def _full_charset(settings: ExportSettings, rec: PaddleModel, classes: int) -> tuple[str, ...]:
    charset = settings.charset or rec.config.charset
    if charset is None:
        raise ModelError(
            f"{rec.source}: no dictionary is known for it; give the one that it was trained with: --dict FILE"
        )
    full = charset_for_head(charset, classes, _label(settings, rec), settings.use_space_char)
    if settings.keep is None:
        check_charset(full, _label(settings, rec))
    return full


class _naming:  # noqa: N801
    """Puts the model's name in front of what is wrong with its graph."""

    def __init__(self, model: PaddleModel) -> None:
        self.source = model.source

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ModelError):
            raise ModelError(f"{self.source}: {error}") from error


def _fixed_sides(model: onnx.ModelProto) -> tuple[int, int] | None:
    dims = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    return (dims[2], dims[3]) if len(dims) == 4 and dims[2] > 0 and dims[3] > 0 else None


def _rec_size(
    settings: ExportSettings, rec: PaddleModel, raw: onnx.ModelProto
) -> tuple[int, tuple[int, ...]]:
    dims = [d.dim_value for d in raw.graph.input[0].type.tensor_type.shape.dim]
    own_height, own_width = (dims[2], dims[3]) if len(dims) == 4 else (0, 0)
    height, width = rec.config.rec_shape or (own_height if own_height > 0 else 48, 320)
    if own_height > 0:
        height = own_height
    widths = settings.rec_widths or ((own_width,) if own_width > 0 else (width,))
    if own_width > 0 and widths != (own_width,):
        raise ModelError(
            f"{rec.source}: takes a width of {own_width} pixels alone, not {', '.join(map(str, widths))}; "
            "leave --rec-width out, or export it from PaddleOCR with a free width"
        )
    return height, tuple(sorted(set(widths)))


def _fitted(crop: Image, height: int, width: int) -> Image:
    used = min(width, max(1, -(-crop.shape[1] * height // crop.shape[0])))
    result = np.full((height, width, 3), PADDING, np.uint8)
    result[:, :used] = cv2.resize(crop, (used, height))
    return result


def _middle(picture: Image) -> Image:
    height, width = picture.shape[:2]
    return np.ascontiguousarray(picture[height * 2 // 5 : height * 3 // 5, width // 4 : width * 3 // 4])


def _origin(model: PaddleModel) -> dict[str, Any]:
    origin: dict[str, Any] = {"kind": model.kind, "name": model.source.name}
    if model.network:
        origin["branch"] = model.branch
    origin["sha256"] = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in model.files()}
    return origin


def _versions() -> dict[str, str]:
    found = {}
    for package in ("paddlepaddle", "paddle2onnx", "onnx", "onnxruntime", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _peak_memory_mb() -> int:
    # Linux counts in KiB, macOS in bytes. Paddle runs in a child.
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(peaks) // unit
