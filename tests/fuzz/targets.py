"""What is tried: for each parser good inputs, and how it is called."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from helpers.engine_manifests import H200, PLAN, manifest, model
from helpers.pictures import encoded, heic_of_tiles, quarters, saved, turned
from helpers.tiny_bundle import det_model, rec_model, write_bundle
from PIL import Image

from edge_lpr.architectures.pdparams import load_checkpoint, select_branch
from edge_lpr.architectures.registry import identify
from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend
from edge_lpr.backends.tensorrt.engine_manifest import read_manifest
from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.bundle.onnx_check import check_onnx
from edge_lpr.datasets.ccpd import parse_ccpd_name
from edge_lpr.datasets.dictionary import check_charset, load_charset_file
from edge_lpr.datasets.labels import load_labels
from edge_lpr.engines.engine_cache import entries
from edge_lpr.errors import ModelError
from edge_lpr.export.inference_yml import read_inference_yml
from edge_lpr.export.paddle_program import check_program, check_weights
from edge_lpr.export.parity.reference import read_reference
from edge_lpr.export.settings import load_origin
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.image_io import read_image
from edge_lpr.io.sources import open_source
from edge_lpr.onnx_graph.graph import OnnxGraph, load_onnx

__all__ = ["TARGETS", "Target"]

MAX_PIXELS = 4_000_000
_FRAMES = 40


@dataclass(frozen=True)
class Target:
    """One parser.

    Attributes:
        seeds: Makes its good inputs.
        run: Parses a file. Errors of the kit are what a bad input is told by; any other is a fault.
        name: The file's name, where it matters.
    """

    seeds: Callable[[], Sequence[bytes]]
    run: Callable[[Path], object]
    name: str = "input"


def _image(suffix: str, *settings: int) -> bytes:
    y, x = np.mgrid[:40, :60]
    image = np.dstack([x * 4, y * 6, (x + y) * 2]).astype(np.uint8)
    return bytes(cv2.imencode(suffix, image, list(settings))[1])


def _pngs() -> list[bytes]:
    deep = np.zeros((20, 30, 4), np.uint16)
    grey = np.full((20, 30), 99, np.uint8)
    return [_image(".png"), *(bytes(cv2.imencode(".png", image)[1]) for image in (deep, grey))]


def _jpegs() -> list[bytes]:
    return [_image(".jpg"), _image(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)]


def _tiffs() -> list[bytes]:
    deep = bytes(cv2.imencode(".tif", np.zeros((20, 30, 3), np.uint16))[1])
    return [_image(".tif"), _image(".tif", cv2.IMWRITE_TIFF_COMPRESSION, 1), deep]


@cache
def _videos(suffix: str, code: str) -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"v{suffix}"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 25, (64, 48))
        for i in range(12):
            writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
        writer.release()
        return [path.read_bytes()]


def _gifs() -> list[bytes]:
    head = b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    frame = (
        b"!\xf9\x04\0\x0a\0\0\0,\0\0\0\0" + struct.pack("<HHB", 4, 4, 0) + b"\x02\x05\x84\x8f\xa9\xcb\x05\0"
    )
    return [head + 3 * frame + b";"]


def _pnms() -> list[bytes]:
    grey = Image.new("I;16", (30, 20), 4000)
    return [encoded(quarters(), "PPM"), encoded(quarters(), "PPM", "1"), saved(grey, "PPM"), b"P2 2 1 9 3 9 "]


def _jp2s() -> list[bytes]:
    return [encoded(quarters(), "JPEG2000", no_jp2=bare) for bare in (False, True)]


def _heics() -> list[bytes]:
    return [
        turned(quarters(), "HEIF", 6),
        encoded(quarters(), "HEIF", "RGBA"),
        heic_of_tiles(np.tile(quarters(), (3, 3, 1)), 64),
    ]


def _read_video(path: Path) -> None:
    with open_source(path, CaptureOptions(max_pixels=MAX_PIXELS), lambda line: None) as source:
        for _ in islice(source, _FRAMES):
            pass


def _bundles() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return [(write_bundle(Path(folder) / "b") / "bundle.json").read_bytes()]


def _read_bundle(path: Path) -> None:
    folder = path.parent
    for name, data in (("det", det_model()), ("rec", rec_model())):
        (folder / f"{name}.fp32.onnx").write_bytes(data)
    bundle = load_bundle(folder)
    for part in (bundle.det, bundle.rec):
        for file in part.precisions.values():
            file.read()


def _models() -> list[bytes]:
    return [det_model(), rec_model()]


def _run_model(path: Path) -> None:
    data, shape = path.read_bytes(), (1, 48, 160, 3)
    try:
        check_onnx(data, shape)
    except ValueError as e:
        raise ModelError(str(e)) from e
    backend = OnnxRuntimeBackend(data, device="cpu", threads=1)
    backend.run({backend.input_name: np.zeros(shape, np.uint8)})
    backend.close()


def _edit_model(path: Path) -> None:
    OnnxGraph(load_onnx(path))


def _checkpoints() -> list[bytes]:
    arrays = {"conv.weight": np.ones((4, 3, 3, 3), np.float32), "half": np.ones(3, np.float16)}
    named = {"w": ("linear_0.w_0", np.ones(3, np.float32))}
    branched = {f"Student.{name}": value for name, value in arrays.items()}
    return [
        pickle.dumps(content, protocol) for content in (arrays, named, branched) for protocol in (2, 4, 5)
    ]


def _read_checkpoint(path: Path) -> None:
    identify(select_branch(load_checkpoint(path), "Student", str(path)), "det", str(path))


def _texts(*texts: str) -> Callable[[], list[bytes]]:
    return lambda: [text.encode() for text in texts]


_POINTS = json.dumps([{"transcription": "皖A12345", "points": [[1, 1], [90, 1], [90, 30], [1, 30]]}])
_SCENES = f"a.png\t{_POINTS}\na.png\t[]\n"
_CROPS = "a.png\t皖A·12345\nb.png\t川B54321\n"
_TABLE = 'file,label,corners_tl_tr_br_bl\na.png,皖A12345,"1,1 90,1 90,30 1,30"\ncrops/a.png,皖A1,\n'


def _read_labels(path: Path) -> None:
    (path.parent / "a.png").write_bytes(b"")
    load_labels([path])


def _read_dictionary(path: Path) -> None:
    check_charset(load_charset_file(path), str(path))


def _manifests() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        made = manifest(Path(folder), model(Path(folder)))
        flags = {"version_compatible": True, "hardware_compatible": True}
        return [
            json.dumps(m.to_json()).encode()
            for m in (made, manifest(Path(folder), model(Path(folder)), flags=flags))
        ]


def _list_engines(path: Path) -> None:
    """Lists the folder, which is never refused, and then reads what may be."""
    path.with_suffix(".engine").write_bytes(PLAN)
    for entry in entries(path.parent, H200):
        if entry.manifest is not None:
            json.dumps(entry.manifest.to_json(), allow_nan=False)
            "".join(map(str, entry.manifest.profiles))
    read_manifest(path)


_YAML = """
Global: {model_name: PP-OCRv5_mobile_rec}
Hpi: {a: &id001 {x: [1, 3, 48, 320]}, b: *id001}
PreProcess:
  transform_ops:
  - DetResizeForTest: {resize_long: 960}
  - NormalizeImage: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], scale: 1./255.}
  - RecResizeImg: {image_shape: [3, 48, 320]}
PostProcess: {name: CTCLabelDecode, thresh: 0.3, character_dict: ['京', "'", 7, ' ']}
"""


def _programs() -> list[bytes]:
    def described(number: int, *values: bytes) -> bytes:
        return b"".join(bytes([number << 3 | 2, len(value)]) + value for value in values)

    operators = [described(3, name) for name in (b"conv2d", b"relu", b"feed")]
    return [described(1, described(4, *operators))]


def _weights() -> list[bytes]:
    description = bytes([1 << 3, 5, 2 << 3 | 2, 2, 3, 4])
    array = struct.pack("<IQIi", 0, 0, 0, len(description)) + description + bytes(4 * 12)
    return [array, 3 * array]


def _arrays() -> list[bytes]:
    out = io.BytesIO()
    names = [f"{part}_{side}_0" for part in ("det", "rec") for side in ("in", "out")]
    np.savez_compressed(out, **{name: np.zeros((4, 4, 3), np.uint8) for name in names})
    return [out.getvalue()]


def _read_name(path: Path) -> None:
    parse_ccpd_name(path.read_text(encoding="utf-8", errors="surrogateescape"))


_CCPD = "025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-0_0_22_27_27_33_16-37-15"
TARGETS: dict[str, Target] = {
    "png": Target(_pngs, lambda path: read_image(path, MAX_PIXELS)),
    "jpeg": Target(_jpegs, lambda path: read_image(path, MAX_PIXELS)),
    "bmp": Target(lambda: [_image(".bmp")], lambda path: read_image(path, MAX_PIXELS)),
    "webp": Target(lambda: [_image(".webp")], lambda path: read_image(path, MAX_PIXELS)),
    "tiff": Target(_tiffs, lambda path: read_image(path, MAX_PIXELS)),
    "exif": Target(
        lambda: [turned(quarters(), kind, 6, "RGBA") for kind in ("PNG", "WEBP", "TIFF")],
        lambda path: read_image(path, MAX_PIXELS),
    ),
    "pnm": Target(_pnms, lambda path: read_image(path, MAX_PIXELS)),
    "jp2": Target(_jp2s, lambda path: read_image(path, MAX_PIXELS)),
    "avif": Target(
        lambda: [turned(quarters(), "AVIF", 6, mode) for mode in ("RGB", "RGBA")],
        lambda path: read_image(path, MAX_PIXELS),
    ),
    "mp4": Target(lambda: _videos(".mp4", "mp4v"), _read_video, "v.mp4"),
    "avi": Target(lambda: _videos(".avi", "MJPG"), _read_video, "v.avi"),
    "mkv": Target(lambda: _videos(".mkv", "MJPG"), _read_video, "v.mkv"),
    "mjpeg": Target(lambda: [9 * _image(".jpg")], _read_video, "v.mjpeg"),
    "gif": Target(_gifs, _read_video, "v.gif"),
    "still_gif": Target(
        lambda: [encoded(quarters(), "GIF"), *_gifs()], lambda path: read_image(path, MAX_PIXELS)
    ),
    "bundle": Target(_bundles, _read_bundle, "bundle.json"),
    "onnx": Target(_models, _run_model),
    "onnx_graph": Target(_models, _edit_model),
    "checkpoint": Target(_checkpoints, _read_checkpoint, "a.pdparams"),
    "labels": Target(_texts(_SCENES, _CROPS), _read_labels, "rec.txt"),
    "table": Target(_texts(_TABLE), _read_labels, "plates.csv"),
    "ccpd_name": Target(_texts(_CCPD), _read_name),
    "dictionary": Target(_texts("京\n津\n0\nA\n", "\ufeffA\r\nB"), _read_dictionary),
    "manifest": Target(_manifests, _list_engines, "a.json"),
    "origin": Target(_texts('{"data": {"a": [1, 2.5, null]}}'), load_origin),
    "program": Target(_programs, check_program, "a.pdmodel"),
    "program_json": Target(_texts('{"program": {"ops": [{"#": "1.conv2d"}]}}'), check_program, "a.json"),
    "weights": Target(_weights, check_weights, "a.pdiparams"),
    "reference": Target(_arrays, read_reference, "reference.npz"),
}
if find_spec("pillow_heif") is not None:
    TARGETS["heic"] = Target(_heics, lambda path: read_image(path, MAX_PIXELS))
if find_spec("yaml") is not None:
    from edge_lpr.finetune.recipe.config import read_config
    from edge_lpr.finetune.recipe.document import default_document, read_document, write_document

    TARGETS["config"] = Target(
        lambda: [write_document(default_document("rec")).encode()],
        lambda path: read_config(read_document(path), "rec", str(path)),
        "config.yml",
    )
    TARGETS["inference_yml"] = Target(_texts(_YAML), read_inference_yml, "inference.yml")
