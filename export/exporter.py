"""From two Paddle models to one verified bundle."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import onnx

from edge_lpr.bundle.manifest import Bundle
from edge_lpr.bundle.writer import DET_POSTPROCESS, DET_SIZE, BundleParts, create_bundle
from edge_lpr.counting import counted
from edge_lpr.datasets.dictionary import charset_for_head, check_charset, check_lines, keep_classes
from edge_lpr.environment import peak_memory, versions
from edge_lpr.errors import ModelError
from edge_lpr.export.bundle_graph import (
    DET_MEAN,
    DET_STD,
    REC_MEAN,
    REC_STD,
    det_model,
    head_classes,
    rec_model,
    simplified,
)
from edge_lpr.export.paddle_model import PaddleModel, open_model
from edge_lpr.export.parity.comparison import Comparison
from edge_lpr.export.parity.images import probe_images
from edge_lpr.export.parity.reference import REFERENCE_FILE, pack_reference
from edge_lpr.export.parity.with_paddle import DetGraphs, RecGraphs, compare_det, compare_rec
from edge_lpr.export.settings import ExportSettings
from edge_lpr.onnx_graph.graph import load_onnx
from edge_lpr.precisions import REFERENCE

__all__ = ["Export", "export_bundle"]

Notify = Callable[[str], None]

_CONVERTER = ("paddlepaddle", "paddle2onnx", "onnx", "onnxruntime", "numpy")
"""Distributions that decide what an export comes to."""


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
        """Writes the bundle with its report and reference; see `create_bundle`."""
        return create_bundle(
            self.parts, out, {"parity.json": report.encode(), REFERENCE_FILE: self.reference}
        )


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
        # The dictionary is what most often does not fit: it is looked at before anything else.
        lines = _dictionary(settings, rec)
        if rec.classes is not None:
            _full_charset(lines, settings, rec, rec.classes)
        notify("converting recognition")
        raw_rec = rec.convert()
        with _naming(rec):
            classes = head_classes(simplified(raw_rec, (None, None)))
        charset = _full_charset(lines, settings, rec, classes)
        if settings.keep is None and len(set(charset) - {""}) < len(charset):
            # An empty line is a class to PaddleOCR that no text has, and the first of two spaces one that it
            # never trains: they become part of the unknown class.
            settings = replace(settings, keep=_unique(charset))
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
        det_norm = _normalisation(det, (DET_MEAN, DET_STD))
        rec_norm = _normalisation(rec, (REC_MEAN, REC_STD))
        self.height, self.widths = _rec_size(settings, rec, raw_rec)
        self.charset = charset
        label = _label(settings, rec)
        keep = None if settings.keep is None else keep_classes(charset, settings.keep, label)
        with _naming(det):
            folded_det = det_model(raw_det, *det_norm)
        with _naming(rec):
            folded_rec = rec_model(raw_rec, self.height, None, *rec_norm)
            cut = None if keep is None else rec_model(raw_rec, self.height, keep, *rec_norm)
        self.parts = self._parts(folded_det, folded_rec if cut is None else cut)
        rules = (self.parts.det_size, self.parts.postprocess)
        self.det_graphs = DetGraphs(raw_det, folded_det, *det_norm, *rules)
        self.rec_graphs = RecGraphs(
            raw_rec,
            folded_rec,
            cut,
            *rec_norm,
            charset,
            settings.keep or (),
            keep or (),
            self.height,
            self.widths,
        )
        self.comparisons: dict[str, list[Comparison]] = {}
        self.images = 0
        self.reference = b""

    def _parts(self, det: onnx.ModelProto, rec: onnx.ModelProto) -> BundleParts:
        kept = self.settings.keep
        post = {**DET_POSTPROCESS, **self.det.config.postprocess}
        if self.settings.det_box_thresh is not None:
            post["box_thresh"] = self.settings.det_box_thresh
        return BundleParts(
            name=self.settings.name,
            licence=self.settings.licence,
            origin={
                "det": _origin(self.det),
                "rec": _origin(self.rec),
                "converter": versions(*_CONVERTER),
                **self.settings.origin,
            },
            det=det.SerializeToString(deterministic=True),
            rec=rec.SerializeToString(deterministic=True),
            charset=self.charset if kept is None else kept,
            unknown_class=kept is not None,
            det_arch=self.det.title,
            rec_arch=self.rec.title,
            det_size={
                **DET_SIZE,
                **({"stride": self.det.architecture.stride} if self.det.architecture else {}),
                **self.det.config.det_size,
                **({} if self.settings.det_limit is None else {"limit_side_len": self.settings.det_limit}),
                **({} if self.settings.det_max is None else {"max_side_len": self.settings.det_max}),
            },
            postprocess=post,
            rec_height=self.height,
            rec_widths=self.widths,
            rec_resize_mode=self.settings.rec_resize_mode,
        )

    def take(self, bundle: Bundle) -> None:
        """Takes a bundle's graphs and rules in place of the new ones."""
        label = _label(self.settings, self.rec)
        keep: Sequence[int] = ()
        if bundle.rec.unknown_class:
            keep = keep_classes(self.charset, bundle.rec.charset, label)
        elif bundle.rec.charset != self.charset:
            raise ModelError(f"{bundle.path}: has another charset than {label}")
        det = load_onnx(bundle.model("det", REFERENCE).read(), str(bundle.path))
        rec = load_onnx(bundle.model("rec", REFERENCE).read(), str(bundle.path))
        self.det_graphs = replace(
            self.det_graphs,
            folded=det,
            size=bundle.raw["det"]["size"],
            postprocess=bundle.det.postprocess,
        )
        self.rec_graphs = replace(
            self.rec_graphs,
            folded=self.rec_graphs.folded if bundle.rec.unknown_class else rec,
            cut=rec if bundle.rec.unknown_class else None,
            kept=bundle.rec.charset,
            keep=keep,
            height=bundle.rec.height,
            widths=bundle.rec.widths,
        )

    def compare(self, notify: Notify) -> None:
        """Runs Paddle and the graphs on the same images."""
        images = self.settings.images
        if images is None:
            images = probe_images(self.settings.limit)
        self.images = len(images)
        notify(f"comparing detection on {counted(len(images), 'images')}")
        found, crops, det_reference = compare_det(self.det, self.det_graphs, images)
        self.comparisons["det"] = found
        notify(f"comparing recognition on {counted(len(crops), 'crops')}")
        self.comparisons["rec"], rec_reference = compare_rec(self.rec, self.rec_graphs, crops)
        self.reference = pack_reference(det_reference, rec_reference)

    def result(self, seconds: float) -> Export:
        """Puts the report together."""
        bound = self.settings.bound
        passed = all(c.passed(bound) for cs in self.comparisons.values() for c in cs)
        images = "given" if self.settings.images is not None else "drawn"
        report = {
            "passed": passed,
            "bound": bound,
            "images": {"count": self.images, "source": images},
            "compared_with": "Paddle's own output (inference, CPU, graph changes off)",
            **{
                part: {c.stage: c.as_json(bound) for c in comparisons}
                for part, comparisons in self.comparisons.items()
            },
            "ignored_parameters": {"det": self.det.ignored, "rec": self.rec.ignored},
            "seconds": round(seconds, 1),
            # Paddle runs in a child.
            "peak_memory_mb": (peak_memory(children=True) or 0) >> 20,
            "versions": versions(*_CONVERTER),
        }
        return Export(self.parts, self.comparisons, report, self.reference)


def _label(settings: ExportSettings, rec: PaddleModel) -> str:
    return settings.charset_label if settings.charset else f"{rec.source} (inference.yml)"


def _dictionary(settings: ExportSettings, rec: PaddleModel) -> tuple[str, ...]:
    lines = settings.charset or rec.config.charset
    if lines is None:
        raise ModelError(
            f"{rec.source}: no dictionary is known for it; give the one that it was trained with: --dict FILE"
        )
    check_lines(lines, _label(settings, rec))
    return lines


def _full_charset(
    lines: Sequence[str], settings: ExportSettings, rec: PaddleModel, classes: int
) -> tuple[str, ...]:
    full = charset_for_head(lines, classes, _label(settings, rec), settings.use_space_char)
    if settings.keep is None:
        # Of what PaddleOCR adds itself nothing is to be said.
        check_charset(lines, _label(settings, rec), empty_lines=True)
    return full


def _unique(charset: Sequence[str]) -> tuple[str, ...]:
    """Returns the characters of a head, each once, in the order of the last class of each."""
    last = {c: i for i, c in enumerate(charset) if c}
    return tuple(c for i, c in enumerate(charset) if last.get(c) == i)


@contextmanager
def _naming(model: PaddleModel) -> Iterator[None]:
    """Puts the model's name in front of what is wrong with its graph."""
    try:
        yield
    except ModelError as e:
        raise ModelError(f"{model.source}: {e}") from e


def _normalisation(
    model: PaddleModel, default: tuple[Sequence[float], Sequence[float]]
) -> tuple[Sequence[float], Sequence[float]]:
    """Returns a model's mean and deviation, in grey levels: its own, else those of its architecture."""
    config, table = model.config, model.architecture
    # PaddleOCR's recognition resizes and normalises in one step, whatever its file says.
    if model.part == "det" and config.mean and config.std:
        mean, std = config.mean, config.std
    elif table is not None:
        mean, std = table.mean, table.std
    else:
        return default
    return tuple(255 * m for m in mean), tuple(255 * s for s in std)


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


def _origin(model: PaddleModel) -> dict[str, Any]:
    origin: dict[str, Any] = {"kind": model.kind, "name": model.source.name}
    if model.architecture:
        origin["branch"] = model.branch
    origin["sha256"] = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in model.files()}
    return origin
