"""Writes a model bundle: the ONNX files and the `bundle.json` that says what they are.

`create_bundle` writes one of FP32 models, `add_precisions` adds others to it. Both come as the bytes of their
ONNX files, so that writing a bundle needs no onnx.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edge_lpr.bundle.manifest import BUNDLE_JSON, FORMAT, VERSION, Bundle, load_bundle
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.environment import tool
from edge_lpr.errors import BundleError, OutputError
from edge_lpr.io.atomic_io import write_bytes
from edge_lpr.io.file_names import part_path
from edge_lpr.io.out_file import OutFile, held
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.precisions import PRECISIONS, REFERENCE, Target
from edge_lpr.signatures import SUFFIX, drop_signature
from edge_lpr.types import Part

__all__ = [
    "DET_POSTPROCESS",
    "DET_SIZE",
    "EXTRA_FILES",
    "BundleParts",
    "NewModel",
    "add_precisions",
    "calibration_key",
    "check_replaceable",
    "create_bundle",
]

_PPOCR = DetectorSettings()

DET_SIZE: Mapping[str, Any] = {
    "stride": 32,
    "limit_side_len": _PPOCR.det_limit_side_len,
    "limit_type": _PPOCR.det_limit_type,
    "max_side_len": 1600,
}
"""Size rules of detection: PP-OCR's defaults for inference, and a bound on memory and time."""

DET_POSTPROCESS: Mapping[str, Any] = {
    name: getattr(_PPOCR, name)
    for name in DetectorSettings.names()
    if name != "box_type" and not name.startswith("det_limit")
}
"""DB post-processing as PP-OCR's own inference has it by default."""

EXTRA_FILES = frozenset({"parity.json", "reference.npz"})
"""What a bundle's folder holds beside its manifest and models: how it compares with Paddle."""
_OWN_FILES = EXTRA_FILES | {BUNDLE_JSON, BUNDLE_JSON + SUFFIX}

_INPUT = {"name": "image", "layout": "NHWC", "dtype": "uint8", "colour": "BGR"}


@dataclass(frozen=True)
class BundleParts:
    """What goes into a bundle.

    Attributes:
        name: The bundle's own name.
        licence: SPDX identifier of the weights' licence.
        origin: Where the weights came from, free form.
        det: The detector's FP32 ONNX file, uint8 N×H×W×3 BGR to float32 N×H×W.
        rec: The recognizer's FP32 ONNX file, uint8 N×height×W×3 BGR to float32 N×T×C.
        charset: Class i of `rec` is `charset[i - 1]`.
        unknown_class: Whether the last class of `rec` holds the probability of all characters that were cut
            off.
        det_arch: What the detection network is called.
        rec_arch: What the recognition network is called.
        rec_height: Height of the recognition input, in pixels.
        det_size: Size rules of detection, as in `DET_SIZE`.
        postprocess: DB parameters by PP-OCR's names.
        rec_widths: Widths that the recognition input may have, ascending, in pixels.
        rec_resize_mode: "pad" or "stretch": how a crop comes to one of the widths.
    """

    name: str
    licence: str
    origin: Mapping[str, Any]
    det: bytes
    rec: bytes
    charset: Sequence[str]
    unknown_class: bool
    det_arch: str
    rec_arch: str
    rec_height: int
    det_size: Mapping[str, Any] = field(default_factory=lambda: dict(DET_SIZE))
    postprocess: Mapping[str, Any] = field(default_factory=lambda: dict(DET_POSTPROCESS))
    rec_widths: Sequence[int] = (320,)
    rec_resize_mode: str = "pad"


@dataclass(frozen=True)
class NewModel:
    """A model in another precision.

    Attributes:
        data: Its ONNX file.
        facts: What else `bundle.json` is to say of it: accuracy, layers left in float.
    """

    data: bytes
    facts: Mapping[str, Any]


def create_bundle(
    parts: BundleParts, out: str | Path, extra_files: Mapping[str, bytes] | None = None
) -> Bundle:
    """Writes a bundle in one step: a folder beside `out` is filled, read back, and takes `out`'s place.

    Args:
        parts: What goes into it.
        out: The bundle's folder. A bundle that is there already is replaced; any other folder that is not
            empty is left alone, and so is a bundle's with files of others in it.
        extra_files: More files to put into the folder, by name; see `EXTRA_FILES`.

    Returns:
        The bundle, as the runtime reads it.

    Raises:
        OutputError: The folder cannot be written, or holds something that is no bundle.
        BundleError: The result does not pass the runtime's own checks.
    """
    check_replaceable(Path(out))
    folder = Path(os.path.realpath(out))
    aside, whole = part_path(folder), False
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir()
        with held(aside):
            _fill(aside, parts, extra_files or {})
            whole = True
            _swap(aside, folder)
    except OSError as e:
        left = f"; all of it lies in {aside}" if whole else ""
        raise OutputError(f"{out}: the bundle cannot be written ({e.strerror or e}){left}") from e
    finally:
        if not whole:
            shutil.rmtree(aside, ignore_errors=True)
    return load_bundle(out)


def calibration_key(target: Target) -> str:
    """Returns where `bundle.json` says how the models for a target were made: of each target by itself."""
    return "calibration_cpu" if target == "cpu" else "calibration"


def add_precisions(
    bundle: Bundle,
    models: Mapping[tuple[Part, str], NewModel],
    calibration: Mapping[str, Any],
) -> None:
    """Adds models of other precisions to a bundle, or replaces those that it has.

    New files get names that the bundle does not use yet; then bundle.json is replaced in one step; then the
    files that it no longer names are deleted. So at any moment the folder is a whole bundle, old or new. A
    signature, which was of the old one, is removed.

    Args:
        bundle: The bundle, as it was loaded.
        models: The new models, by part and precision, all for one target.
        calibration: What `bundle.json` is to say of how they were made.

    Raises:
        OutputError: A file cannot be written.
    """
    raw = copy.deepcopy(dict(bundle.raw))
    used = {m.path for models_of in (bundle.det, bundle.rec) for m in models_of.precisions.values()}
    replaced: set[Path] = set()
    for (part, precision), model in models.items():
        sha256 = hashlib.sha256(model.data).hexdigest()
        name = _file_name(part, precision)
        if bundle.path / name in used:
            name = _file_name(part, f"{precision}.{sha256[:12]}")
        previous = (bundle.det if part == "det" else bundle.rec).precisions.get(precision)
        if previous is not None and previous.sha256 == sha256:
            name = previous.path.name
            if not _is_whole(previous):
                write_bytes(previous.path, model.data)
        else:
            write_bytes(bundle.path / name, model.data)
            # The network that a bundle of the package shares with another is not this one's to delete.
            if previous is not None and previous.path.parent == bundle.path:
                replaced.add(previous.path)
        raw[part]["precisions"][precision] = _entry(name, model.data) | dict(model.facts)
    for target in {PRECISIONS[precision].target for _, precision in models}:
        raw[calibration_key(target)] = dict(calibration)
    drop_signature(bundle.path / BUNDLE_JSON)
    write_bytes(bundle.path / BUNDLE_JSON, _json(raw))
    for path in replaced:
        with suppress(OSError):  # what no manifest names does no harm
            path.unlink(missing_ok=True)


def _is_whole(model: ModelFile) -> bool:
    try:
        model.read()
    except BundleError:
        return False
    return True


def check_replaceable(folder: Path) -> None:
    """Checks that a bundle may be written to a folder, before work is put into one.

    Args:
        folder: Where the bundle is to be.

    Raises:
        OutputError: It is a file, or holds something that belongs to no bundle.
    """
    try:
        found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        if found and not (folder / "bundle.json").is_file():
            raise OutputError(f"{folder}: not empty and no bundle; give a new folder, or an older bundle's")
        if others := [name for name in found if not name.endswith(".onnx") and name not in _OWN_FILES]:
            raise OutputError(
                f"{folder}: would be replaced as a whole, and holds {others[0]}, which belongs to no bundle; "
                "move it away, or give a new folder"
            )
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder}: a file, expected a folder to write the bundle into")
    except OSError as e:
        raise OutputError(f"{folder}: cannot be read ({e.strerror or e})") from e


def _fill(aside: Path, parts: BundleParts, extra_files: Mapping[str, bytes]) -> None:
    """Writes a bundle's files, and reads them back."""
    files = {_file_name("det", REFERENCE): parts.det, _file_name("rec", REFERENCE): parts.rec}
    files["bundle.json"] = _json(_manifest(parts))
    for name, data in (files | dict(extra_files)).items():
        with OutFile(aside / name, "x") as file:
            file.write(data)
            file.sync()
    written = load_bundle(aside)
    for part in (written.det, written.rec):
        for model in part.precisions.values():
            model.read()


def _swap(aside: Path, folder: Path) -> None:
    # A folder that is not empty cannot be replaced in one call, so the old bundle steps aside first and comes
    # back should the second rename fail.
    if not folder.exists():
        aside.replace(folder)
        return
    old = part_path(folder)
    folder.replace(old)
    try:
        aside.replace(folder)
    except OSError as e:
        try:
            old.replace(folder)
        except OSError:
            raise OutputError(
                f"{folder}: the bundle cannot be written ({e.strerror or e}); give {aside}, which is the new "
                f"one, or {old}, which is the older one, its name by hand"
            ) from e
        raise
    shutil.rmtree(old, ignore_errors=True)


def _manifest(parts: BundleParts) -> dict[str, Any]:
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
            "precisions": {REFERENCE: _entry(_file_name("det", REFERENCE), parts.det)},
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
            "precisions": {REFERENCE: _entry(_file_name("rec", REFERENCE), parts.rec)},
        },
    }


def _entry(name: str, data: bytes) -> dict[str, Any]:
    return {"file": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _file_name(part: Part, precision: str) -> str:
    return f"{part}.{precision}.onnx"


def _json(manifest: Mapping[str, Any]) -> bytes:
    return (json.dumps(manifest, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()
