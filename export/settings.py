"""What an export is asked to do; the options of `edge-lpr export` follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edge_lpr.errors import SettingError
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.plain_data import parse_json
from edge_lpr.settings import Settings, setting, whole_setting
from edge_lpr.types import Image

__all__ = ["BOUND", "BRANCHES", "ExportSettings", "load_origin"]

BRANCHES = ("Student", "Student2", "Teacher")
"""Networks of PaddleOCR's distillation checkpoints."""
BOUND = 1e-4
"""Largest difference of a probability that export accepts."""
_MAX_IMAGES = 1000
_MAX_ORIGIN_BYTES = 1 << 20
_OWN_ORIGIN = ("det", "rec", "converter")


@dataclass(frozen=True)
class ExportSettings(Settings):
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
        rec_resize_mode: How the runtime brings a crop to such a width, as the model was trained: "pad" or
            "stretch".
        det_limit: `det_limit_side_len` of the bundle, in pixels; None takes the model's own, or 736.
        det_max: `max_side_len` of the bundle, in pixels; None takes 1600.
        det_box_thresh: `box_thresh` of the bundle, 0 to 1; None takes the model's own, or 0.6.
        name: The bundle's name.
        licence: SPDX identifier of the weights' licence.
        origin: What the bundle's `origin` says beside the models and what converted them.
        images: uint8 H×W×3 BGR by name, to compare on; None draws some.
        limit: How many images are compared at most, and how many are drawn.
        bound: Largest difference of a probability that is accepted.

    Raises:
        SettingError: A value is out of its range.
    """

    det: Path
    rec: Path
    charset: tuple[str, ...] | None = None
    charset_label: str = "the dictionary"
    use_space_char: bool | None = None
    keep: tuple[str, ...] | None = None
    branch: str = setting("Student", "network of a distillation checkpoint", choices=BRANCHES)
    rec_widths: tuple[int, ...] | None = None
    rec_resize_mode: Literal["pad", "stretch"] = setting(
        "pad",
        "how a crop comes to that width: PaddleOCR pads, `edge-lpr finetune` stretches",
        choices=("pad", "stretch"),
    )
    det_limit: int | None = whole_setting(
        None,
        "det_limit_side_len: a shorter side is enlarged to it (default: the model's own, or 736)",
        low=32,
        high=4096,
        metavar="PX",
    )
    det_max: int | None = whole_setting(
        None, "no side of the detector's input is longer (default: 1600)", low=32, high=4096, metavar="PX"
    )
    det_box_thresh: float | None = setting(
        None,
        "box_thresh: boxes of a lower mean probability are dropped (default: the model's own, or 0.6)",
        low=0,
        high=1,
        metavar="P",
    )
    name: str = "exported"
    licence: str = "unknown"
    origin: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, Image] | None = None
    limit: int = setting(20, "how many images", low=1, high=_MAX_IMAGES)
    bound: float = setting(
        BOUND, "largest difference of a probability that is accepted", low=0, high=1, metavar="P"
    )


def load_origin(path: Path) -> dict[str, Any]:
    """Reads how a bundle's weights were made, as its `origin` is to tell it.

    Args:
        path: A JSON file that holds an object, 1 MiB at most.

    Raises:
        SettingError: It cannot be read, is no JSON object, or has a name that export itself gives.
    """
    excess = "{size} bytes, an origin has at most {limit}"
    data = read_bounded(path, _MAX_ORIGIN_BYTES, "an origin", SettingError, excess=excess)
    origin = parse_json(data, str(path), SettingError)
    if not isinstance(origin, dict):
        raise SettingError(f"{path}: holds {type(origin).__name__}, expected an object")
    for name in _OWN_ORIGIN:
        if name in origin:
            raise SettingError(f"{path}: has {name!r}, which export writes itself; give it another name")
    return origin
