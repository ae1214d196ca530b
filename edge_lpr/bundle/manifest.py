"""The model bundle: a folder with `bundle.json` and ONNX files.

`bundle.json` is the only place where a model says what it takes. Format version 1::

    {
      "format": "edge-lpr-bundle", "version": 1,
      "name": "ppocrv3-general", "created": "2026-11-22", "tool": "edge-lpr 0.1.0",
      "licence": "Apache-2.0", "origin": {...free form: where the weights came from...},
      "det": {
        "arch": "PP-OCRv3 det",
        "input":  {"name": "image", "layout": "NHWC", "dtype": "uint8", "colour": "BGR"},
        "output": {"name": "prob", "layout": "NHW", "dtype": "float32"},
        "size": {"stride": 32, "limit_side_len": 736, "limit_type": "min", "max_side_len": 1600},
        "postprocess": {"thresh": 0.3, "box_thresh": 0.6, "max_candidates": 1000, "unclip_ratio": 1.5,
                        "use_dilation": false, "score_mode": "fast"},
        "precisions": {"fp32": {"file": "det.fp32.onnx", "sha256": "…", "bytes": 2400000}}
      },
      "rec": {
        "arch": "PP-OCRv3 rec (CTC)",
        "input": {...as above...},
        "output": {"name": "probs", "layout": "NTC", "dtype": "float32"},
        "size": {"height": 48, "widths": [320], "resize_mode": "pad"},
        "charset": ["京", "津", …], "unknown_class": true,
        "precisions": {...}
      }
    }

Class 0 of the recognizer's output is the CTC blank, class i (1 ≤ i ≤ len(charset)) is `charset[i - 1]`;
where `unknown_class` is true one more class, the last, holds the probability of all the characters that were
cut off. Each entry of `precisions` may carry more (accuracy measured, layers kept): it is passed through
untouched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from edge_lpr.bundle.json_reader import JsonReader
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.errors import BundleError
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.plain_data import parse_json
from edge_lpr.precisions import PRECISIONS
from edge_lpr.signatures import PublicKey
from edge_lpr.types import Part

FORMAT = "edge-lpr-bundle"
VERSION = 1
BUNDLE_JSON = "bundle.json"
MAX_JSON_BYTES = 4 << 20
MAX_MODEL_BYTES = 1 << 30
DEFAULT_BUNDLE = "default"


@dataclass(frozen=True)
class DetSpec:
    """What the detector takes and how its map is read; the values of `bundle.json`'s `det`.

    Attributes:
        input_name: Name of the uint8 N×H×W×3 BGR input.
        output_name: Name of the float32 N×H×W probability map.
        stride: Height and width must be multiples of it, in pixels.
        limit_side_len: PP-OCR's `det_limit_side_len`, in pixels.
        limit_type: PP-OCR's `det_limit_type`, "min" or "max".
        max_side_len: No side of the input is longer, in pixels; what memory and time are bounded by.
        postprocess: DB post-processing parameters by PP-OCR's names.
        precisions: The model files by precision.
    """

    input_name: str
    output_name: str
    stride: int
    limit_side_len: int
    limit_type: Literal["min", "max"]
    max_side_len: int
    postprocess: Mapping[str, float | int | bool | str]
    precisions: Mapping[str, ModelFile]


@dataclass(frozen=True)
class RecSpec:
    """What the recognizer takes and what its classes mean; the values of `bundle.json`'s `rec`.

    Attributes:
        input_name: Name of the uint8 N×height×width×3 BGR input.
        output_name: Name of the float32 N×T×C class probabilities.
        height: Height of the input, in pixels.
        widths: Widths that the input may have, ascending, in pixels.
        resize_mode: How a crop comes to one of the widths: "pad" keeps its aspect and fills up with grey, as
            PP-OCR trains; "stretch" fills the width with it.
        charset: Class i is `charset[i - 1]`; class 0 is the CTC blank.
        unknown_class: Whether one more class holds the probability of all characters cut off.
        precisions: The model files by precision.
    """

    input_name: str
    output_name: str
    height: int
    widths: tuple[int, ...]
    resize_mode: Literal["pad", "stretch"]
    charset: tuple[str, ...]
    unknown_class: bool
    precisions: Mapping[str, ModelFile]

    @property
    def classes(self) -> int:
        """Number of classes that the output has: blank, charset, and the unknown class where there is one."""
        return 1 + len(self.charset) + int(self.unknown_class)


@dataclass(frozen=True)
class Bundle:
    """A checked `bundle.json`.

    Attributes:
        path: The bundle's folder.
        name: The bundle's own name.
        licence: SPDX identifier of the weights' licence.
        origin: Where the weights came from, as the maker wrote it.
        det: The detector.
        rec: The recognizer.
        raw: The whole of `bundle.json`.
        verify_key: The key that its signature was checked with, and with which those of its engines are to
            be; None where none was asked for.
    """

    path: Path
    name: str
    licence: str
    origin: Mapping[str, Any]
    det: DetSpec
    rec: RecSpec
    raw: Mapping[str, Any]
    verify_key: PublicKey | None = None

    def model(self, part: Part, precision: str) -> ModelFile:
        """Finds the file of one part in one precision.

        Args:
            part: "det" or "rec".
            precision: "fp32", "fp16" or "int8".

        Raises:
            BundleError: The bundle has no such precision.
        """
        precisions = self.files()[part]
        if precision not in precisions:
            raise BundleError(
                f"{self.path}: no {precision} model of {part!r}, only {', '.join(precisions)}; "
                f"make it with: edge-lpr calibrate {self.path} --precision {precision} --data DIR"
            )
        return precisions[precision]

    def files(self) -> dict[Part, Mapping[str, ModelFile]]:
        """Returns the files of each part by precision."""
        return {"det": self.det.precisions, "rec": self.rec.precisions}

    def precisions(self) -> tuple[str, ...]:
        """Returns the precisions that both parts have, in the order of their table."""
        return tuple(p for p in PRECISIONS.names() if all(p in files for files in self.files().values()))


def bundled(name: str = DEFAULT_BUNDLE) -> Path:
    """Returns the folder of a bundle that the package carries."""
    return Path(str(files("edge_lpr"))) / "bundles" / name


def bundle_folder(given: str | Path | None) -> Path:
    """Returns the folder of a bundle as users give it.

    Args:
        given: The folder; the name of a bundle that the package carries, where no folder is called so; None
            for the default one.
    """
    if given is None:
        return bundled()
    return bundled(str(given)) if _is_carried(Path(given), Path()) else Path(given)


def portable_bundle(given: str | Path, base: Path) -> str:
    """Returns a bundle as a process elsewhere can be told of it.

    Args:
        given: What `bundle_folder` takes, from a file or a command whose paths are relative to a folder.
        base: That folder.

    Returns:
        The name of one that the package carries, else the absolute path.
    """
    return str(given) if _is_carried(Path(given), base) else str((base / given).absolute())


def _is_carried(given: Path, base: Path) -> bool:
    return len(given.parts) == 1 and not (base / given).exists() and bundled(given.name).is_dir()


def load_bundle(path: str | Path | None = None, verify_key: PublicKey | None = None) -> Bundle:
    """Reads and checks a bundle's `bundle.json`; the model files are checked as they are read.

    Args:
        path: What `bundle_folder` takes.
        verify_key: The key that it has to be signed with; None asks for no signature.

    Raises:
        SignatureError: It is not signed by that key, or is not what was signed.
        BundleError: Not a bundle, damaged, of a newer format, or with a value out of range.
    """
    folder = bundle_folder(path)
    manifest = folder / BUNDLE_JSON
    if not folder.is_dir():
        carried = ", ".join(sorted(one.name for one in bundled().parent.iterdir()))
        raise BundleError(
            f"{folder}: no such folder; a bundle is a folder with a bundle.json, or one of the package: "
            f"{carried}"
        )
    missing = f"{folder}: no bundle.json in it; make a bundle with: edge-lpr export"
    data = read_bounded(manifest, MAX_JSON_BYTES, "a bundle.json", BundleError, missing=missing)
    if verify_key is not None:
        verify_key.check(manifest, data)
    raw = parse_json(data, str(manifest), BundleError, remedy="; make or copy the bundle again")
    return replace(_Reader(manifest, _root(folder)).bundle(raw), verify_key=verify_key)


def _root(folder: Path) -> Path:
    """Returns the folder that all files of a bundle lie in: those of the package may share a network."""
    own = bundled().parent.resolve()
    return own if folder.resolve().parent == own else folder


class _Reader(JsonReader):
    """Makes a bundle of the parsed JSON."""

    def bundle(self, raw: object) -> Bundle:
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise BundleError(f'{self.file}: not a bundle.json of this kit (no "format": "{FORMAT}")')
        version = self.number(raw, "version", 1, 1 << 31)
        if version != VERSION:
            raise BundleError(
                f"{self.file}: format version {version}, this edge-lpr reads version {VERSION}; "
                "upgrade edge-lpr or export the bundle again"
            )
        det = self.table(raw, "det")
        rec = self.table(raw, "rec")
        return Bundle(
            path=self.file.parent,
            name=self.text(raw, "name"),
            licence=self.text(raw, "licence"),
            origin=self.table(raw, "origin"),
            det=self.det(det),
            rec=self.rec(rec),
            raw=raw,
        )

    def tensor(self, node: dict[str, Any], key: str, **fixed: str) -> str:
        table = self.table(node, key)
        for field, value in fixed.items():
            self.choice(table, f"{key}.{field}", value)
        return self.text(table, f"{key}.name")

    def det(self, node: dict[str, Any]) -> DetSpec:
        size = self.table(node, "det.size")
        post = self.table(node, "det.postprocess")
        limit_type = self.choice(size, "det.size.limit_type", "min", "max")
        stride = self.number(size, "det.size.stride", 1, 1024)
        longest = self.number(size, "det.size.max_side_len", 32, 8192)
        side = -(-longest // stride) * stride
        return DetSpec(
            input_name=self.tensor(node, "det.input", layout="NHWC", dtype="uint8", colour="BGR"),
            output_name=self.tensor(node, "det.output", layout="NHW", dtype="float32"),
            stride=stride,
            limit_side_len=self.number(size, "det.size.limit_side_len", 32, 8192),
            limit_type="min" if limit_type == "min" else "max",
            max_side_len=longest,
            postprocess=post,
            precisions=self.precisions(node, "det", (1, side, side, 3)),
        )

    def rec(self, node: dict[str, Any]) -> RecSpec:
        size = self.table(node, "rec.size")
        widths = self.get(size, "rec.size.widths", list, "a list of widths")
        wanted = "ascending integers from 16 to 4096"
        if not widths or any(type(w) is not int or not 16 <= w <= 4096 for w in widths):
            raise self.fail("rec.size.widths", widths, wanted)
        if sorted(set(widths)) != widths:
            raise self.fail("rec.size.widths", widths, wanted)
        mode = self.choice(size, "rec.size.resize_mode", "pad", "stretch")
        charset = self.get(node, "rec.charset", list, "a list of characters")
        if not 1 <= len(charset) <= 100_000 or any(type(c) is not str or not c for c in charset):
            raise self.fail("rec.charset", charset, "a list of 1 to 100,000 characters")
        if len(set(charset)) != len(charset):
            twice = sorted(c for c, count in Counter(charset).items() if count > 1)
            raise self.fail("rec.charset", twice, "each character once")
        height = self.number(size, "rec.size.height", 8, 512)
        return RecSpec(
            input_name=self.tensor(node, "rec.input", layout="NHWC", dtype="uint8", colour="BGR"),
            output_name=self.tensor(node, "rec.output", layout="NTC", dtype="float32"),
            height=height,
            widths=tuple(widths),
            resize_mode="pad" if mode == "pad" else "stretch",
            charset=tuple(charset),
            unknown_class=self.get(node, "rec.unknown_class", bool, "true or false"),
            precisions=self.precisions(node, "rec", (1, height, max(widths), 3)),
        )

    def precisions(
        self, node: dict[str, Any], part: str, largest: tuple[int, int, int, int]
    ) -> dict[str, ModelFile]:
        table = self.table(node, f"{part}.precisions")
        return dict(self.model_files(table, f"{part}.precisions", largest))

    def model_files(
        self, table: dict[str, Any], key: str, largest: tuple[int, int, int, int]
    ) -> Iterator[tuple[str, ModelFile]]:
        if not table:
            raise self.fail(key, table, f"at least one of {', '.join(PRECISIONS.names())}")
        for precision in table:
            where = f"{key}.{precision}"
            if precision not in PRECISIONS:
                raise self.fail(key, precision, f"one of {', '.join(PRECISIONS.names())}")
            entry = self.table(table, where)
            sha256 = self.text(entry, f"{where}.sha256")
            if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
                raise self.fail(f"{where}.sha256", sha256, "64 hex digits")
            yield (
                precision,
                ModelFile(
                    path=self.inside(entry, f"{where}.file"),
                    sha256=sha256,
                    size=self.number(entry, f"{where}.bytes", 1, MAX_MODEL_BYTES),
                    precision=precision,
                    extra={k: v for k, v in entry.items() if k not in ("file", "sha256", "bytes")},
                    largest=largest,
                ),
            )
