"""What `inference.yml` says of an inference model: charset, sizes, normalisation, post-processing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_lpr.errors import MissingExtraError, ModelError, one_line, shown
from edge_lpr.io.bounded_io import read_bounded

__all__ = ["InferenceConfig", "read_inference_yml"]

_MAX_BYTES = 1 << 20
_POSTPROCESS = ("thresh", "box_thresh", "max_candidates", "unclip_ratio")


@dataclass(frozen=True)
class InferenceConfig:
    """The values of an `inference.yml` that a bundle needs; None where it does not say.

    Attributes:
        name: What the model is called, such as "PP-OCRv5_mobile_det".
        charset: The recognition's dictionary, without blank and added space.
        rec_shape: Height and width of the recognition's input, in pixels.
        det_size: `limit_side_len` and `limit_type` as a bundle's `det.size` has them.
        mean: What is subtracted from B, G and R, on a scale of 0 to 1.
        std: What the difference is divided by.
        postprocess: DB parameters by PP-OCR's names.
    """

    name: str = ""
    charset: tuple[str, ...] | None = None
    rec_shape: tuple[int, int] | None = None
    det_size: Mapping[str, int | str] = field(default_factory=dict)
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    postprocess: Mapping[str, float | int] = field(default_factory=dict)


def read_inference_yml(path: Path) -> InferenceConfig:
    """Reads the file that PaddleOCR 2.8 and newer put beside an inference model.

    Args:
        path: The file; where there is none, nothing is known.

    Raises:
        ModelError: Too large, no YAML, or with values that make no sense.
        MissingExtraError: PyYAML is not installed.
    """
    if not path.is_file():
        return InferenceConfig()
    try:
        from edge_lpr.io.bounded_yaml import parse_yaml
    except ImportError as e:
        raise MissingExtraError("yaml", "export", f"Reading {path}") from e
    data = read_bounded(path, _MAX_BYTES, "an inference.yml", ModelError)
    try:
        content = parse_yaml(data.decode("utf-8"))
    except ValueError as e:
        raise ModelError(f"{path}: not valid YAML ({one_line(e, 120)})") from e
    return _config(content if isinstance(content, dict) else {}, path)


def _config(content: dict[str, Any], path: Path) -> InferenceConfig:
    steps: dict[str, Any] = {}
    operations = _table(content, "PreProcess").get("transform_ops")
    for step in operations if isinstance(operations, list) else []:
        if isinstance(step, dict):
            steps.update(step)
    post = _table(content, "PostProcess")
    charset = post.get("character_dict")
    if charset is not None and not isinstance(charset, list):
        raise ModelError(
            f"{path}: character_dict is a {type(charset).__name__}, expected a list of characters"
        )
    values = {k: post[k] for k in _POSTPROCESS if k in post}
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ModelError(f"{path}: {key} is {shown(value)}, expected a number")
    normal = _table(steps, "NormalizeImage")
    return InferenceConfig(
        name=str(_table(content, "Global").get("model_name") or "")[:80],
        charset=None if charset is None else tuple(map(str, charset)),
        rec_shape=_rec_shape(_table(steps, "RecResizeImg").get("image_shape"), path),
        det_size=_det_size(_table(steps, "DetResizeForTest"), path),
        mean=_triple(normal.get("mean"), "mean", path),
        std=_triple(normal.get("std"), "std", path),
        postprocess=values,
    )


def _table(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = content.get(key)
    return value if isinstance(value, dict) else {}


def _rec_shape(shape: object, path: Path) -> tuple[int, int] | None:
    if shape is None:
        return None
    whole = isinstance(shape, list) and len(shape) == 3 and all(type(n) is int for n in shape)
    if not whole or not (8 <= shape[1] <= 512 and 16 <= shape[2] <= 4096):  # type: ignore[index]
        raise ModelError(f"{path}: image_shape is {shown(shape)}, expected [3, height, width] in pixels")
    return shape[1], shape[2]  # type: ignore[index]


def _det_size(resize: Mapping[str, Any], path: Path) -> dict[str, int | str]:
    # `resize_long` is the longer side; it is the only one of PaddleOCR's ways beside the limits that scales
    # evenly.
    side = resize.get("limit_side_len", resize.get("resize_long"))
    if side is None:
        return {}
    kind = resize.get("limit_type", "min") if "limit_side_len" in resize else "max"
    if type(side) is not int or not 32 <= side <= 8192 or kind not in ("min", "max"):
        raise ModelError(
            f"{path}: detection's limit is {shown(side)} ({shown(kind)}), expected 32 to 8192 (min or max)"
        )
    return {"limit_side_len": side, "limit_type": kind}


def _triple(value: object, key: str, path: Path) -> tuple[float, float, float] | None:
    if value is None:
        return None
    fits = isinstance(value, list) and len(value) == 3 and all(isinstance(v, (int, float)) for v in value)
    if not fits or not all(math.isfinite(v) and (key == "mean" or v > 0) for v in value):  # type: ignore[attr-defined]
        raise ModelError(f"{path}: {key} is {shown(value)}, expected three numbers")
    return float(value[0]), float(value[1]), float(value[2])  # type: ignore[index]
