"""Writes a model bundle: the ONNX files and the `bundle.json` that says what they are."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import onnx

from edge_lpr.bundle.manifest import FORMAT, VERSION, Bundle, load_bundle
from edge_lpr.environment import tool
from edge_lpr.errors import OutputError

__all__ = ["DET_POSTPROCESS", "DET_SIZE", "BundleParts", "check_replaceable", "create_bundle"]

DET_SIZE: Mapping[str, Any] = {"stride": 32, "limit_side_len": 736, "limit_type": "min", "max_side_len": 1600}
"""Size rules of detection: PP-OCR's defaults for inference, and a bound on memory and time."""

DET_POSTPROCESS: Mapping[str, Any] = {
    "thresh": 0.3,
    "box_thresh": 0.6,
    "max_candidates": 1000,
    "unclip_ratio": 1.5,
    "use_dilation": False,
    "score_mode": "fast",
}
"""DB post-processing as PP-OCR's own inference has it by default."""

_INPUT = {"name": "image", "layout": "NHWC", "dtype": "uint8", "colour": "BGR"}


@dataclass(frozen=True)
class BundleParts:
    """What goes into a bundle.

    Attributes:
        name: The bundle's own name.
        licence: SPDX identifier of the weights' licence.
        origin: Where the weights came from, free form.
        det: Detection graph, uint8 N×H×W×3 BGR to float32 N×H×W.
        rec: Recognition graph, uint8 N×height×W×3 BGR to float32 N×T×C.
        charset: Class i of `rec` is `charset[i - 1]`.
        unknown_class: Whether the last class of `rec` holds the probability of all characters that were cut off.
        det_arch: What the detection network is called.
        rec_arch: What the recognition network is called.
        det_size: Size rules of detection, as in `DET_SIZE`.
        postprocess: DB parameters by PP-OCR's names.
        rec_height: Height of the recognition input, in pixels.
        rec_widths: Widths that the recognition input may have, ascending, in pixels.
        rec_resize_mode: "pad" or "stretch": how a crop comes to one of the widths.
        measured: More to say of the fp32 files, by part: accuracy, parity.
    """

    name: str
    licence: str
    origin: Mapping[str, Any]
    det: onnx.ModelProto
    rec: onnx.ModelProto
    charset: Sequence[str]
    unknown_class: bool
    det_arch: str = "PP-OCRv3 det"
    rec_arch: str = "PP-OCRv3 rec (CTC)"
    det_size: Mapping[str, Any] = field(default_factory=lambda: dict(DET_SIZE))
    postprocess: Mapping[str, Any] = field(default_factory=lambda: dict(DET_POSTPROCESS))
    rec_height: int = 48
    rec_widths: Sequence[int] = (320,)
    rec_resize_mode: str = "pad"
    measured: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def create_bundle(
    parts: BundleParts, out: str | Path, extra_files: Mapping[str, bytes] | None = None
) -> Bundle:
    """Writes a bundle in one step: a folder beside `out` is filled, read back, and takes `out`'s place.

    Args:
        parts: What goes into it.
        out: The bundle's folder. A bundle that is there already is replaced; any other folder that is not
            empty is left alone.
        extra_files: More files to put into the folder, by name.

    Returns:
        The bundle, as the runtime reads it.

    Raises:
        OutputError: The folder cannot be written, or holds something that is no bundle.
        BundleError: The result does not pass the runtime's own checks.
    """
    folder = Path(out)
    check_replaceable(folder)
    aside: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        aside.chmod(0o755)
        manifest = _manifest(parts, aside)
        (aside / "bundle.json").write_text(
            json.dumps(manifest, ensure_ascii=False, indent=1, allow_nan=False) + "\n", encoding="utf-8"
        )
        for name, data in (extra_files or {}).items():
            (aside / name).write_bytes(data)
        written = load_bundle(aside)
        for part in (written.det, written.rec):
            for model in part.precisions.values():
                model.read()
        _swap(aside, folder)
    except OSError as e:
        raise OutputError(f"{folder}: the bundle cannot be written ({e.strerror or e})") from e
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
    return load_bundle(folder)


def check_replaceable(folder: Path) -> None:
    """Checks that a bundle may be written to a folder, before work is put into one.

    Args:
        folder: Where the bundle is to be.

    Raises:
        OutputError: It is a file, or holds something that is no bundle.
    """
    try:
        if folder.is_dir() and any(folder.iterdir()) and not (folder / "bundle.json").is_file():
            raise OutputError(f"{folder}: not empty and no bundle; give a new folder, or an older bundle's")
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder}: a file, expected a folder to write the bundle into")
    except OSError as e:
        raise OutputError(f"{folder}: cannot be read ({e.strerror or e})") from e


def _swap(aside: Path, folder: Path) -> None:
    # A folder that is not empty cannot be replaced in one call, so the old bundle steps aside first and comes
    # back should the second rename fail.
    if not folder.exists():
        aside.replace(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    folder.replace(old)
    try:
        aside.replace(folder)
    except OSError:
        old.replace(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _manifest(parts: BundleParts, folder: Path) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": parts.name,
        "created": datetime.now(timezone.utc).date().isoformat(),
        "tool": tool(),
        "licence": parts.licence,
        "origin": dict(parts.origin),
        "det": {
            "arch": parts.det_arch,
            "input": dict(_INPUT),
            "output": {"name": "prob", "layout": "NHW", "dtype": "float32"},
            "size": dict(parts.det_size),
            "postprocess": dict(parts.postprocess),
            "precisions": {"fp32": _save(parts.det, folder, "det", parts.measured)},
        },
        "rec": {
            "arch": parts.rec_arch,
            "input": dict(_INPUT),
            "output": {"name": "probs", "layout": "NTC", "dtype": "float32"},
            "size": {
                "height": parts.rec_height,
                "widths": sorted(parts.rec_widths),
                "resize_mode": parts.rec_resize_mode,
            },
            "charset": list(parts.charset),
            "unknown_class": parts.unknown_class,
            "precisions": {"fp32": _save(parts.rec, folder, "rec", parts.measured)},
        },
    }


def _save(
    model: onnx.ModelProto, folder: Path, part: str, measured: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    data = model.SerializeToString(deterministic=True)
    name = f"{part}.fp32.onnx"
    (folder / name).write_bytes(data)
    entry = {"file": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    return entry | dict(measured.get(part, {}))
