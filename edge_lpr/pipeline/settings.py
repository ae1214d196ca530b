"""Every threshold of reading, declared once: what it does, its default and its range.

The command's options and the names that `PlateReader(settings=…)` takes are those of the fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_lpr.bundle.manifest import DetSpec
from edge_lpr.errors import SettingError
from edge_lpr.settings import Settings, setting
from edge_lpr.types import Image

__all__ = ["DetectorSettings", "GateSettings", "ReadSettings", "TrackSettings", "split_settings"]

MIN_SIDE = 32
"""A side of the detector's input has at least so many pixels: its network's stride."""


@dataclass(frozen=True)
class DetectorSettings(Settings):
    """PP-OCR's detection parameters, by its names; the defaults are PP-OCRv3's."""

    thresh: float = setting(
        0.3,
        "pixels are text from this probability on; lower finds fainter plates, and noise",
        low=0,
        high=1,
        metavar="P",
    )
    box_thresh: float = setting(
        0.6,
        "boxes are kept from this mean probability on; lower finds more plates, and signs",
        low=0,
        high=1,
        metavar="P",
    )
    max_candidates: int = setting(1000, "most contours that are looked at in an image", low=1, high=100_000)
    unclip_ratio: float = setting(
        1.5,
        "how far boxes are grown (area × ratio / perimeter); raise it where plates are cut",
        low=0,
        high=10,
        metavar="R",
    )
    use_dilation: bool = setting(False, "join what is nearly joined: thickens the map of text by a pixel")
    score_mode: str = setting(
        "fast", "what a box's score is averaged over: its rectangle, or the contour", choices=("fast", "slow")
    )
    box_type: str = setting(
        "quad",
        "plates are cut out along their own corners too (quad), or PP-OCR's rectangle alone",
        choices=("quad", "rectangle"),
    )
    det_limit_side_len: int = setting(
        736, "the detector's input size; see the next", low=MIN_SIDE, high=8192, metavar="PX"
    )
    det_limit_type: str = setting(
        "min",
        "scale up until the shorter side (min), or down until the longer one (max), has that size",
        choices=("min", "max"),
    )

    @classmethod
    def for_model(cls, spec: DetSpec) -> DetectorSettings:
        """Returns the settings that a bundle's detector was made for."""
        values: dict[str, Any] = {k: v for k, v in spec.postprocess.items() if k in cls.names()}
        return cls(**values, det_limit_side_len=spec.limit_side_len, det_limit_type=spec.limit_type)


@dataclass(frozen=True)
class ReadSettings(Settings):
    """What counts as a plate."""

    any_text: bool = setting(False, "also text that reads better as no plate (kind text)")
    # Of 476 plates read in 470 scenes, right ones fell below it once, wrong ones seven times of eleven.
    min_score: float = setting(
        0.75,
        "a plate or event is reported when its worst character is at least this probable; lower reports more "
        "plates, and more wrong ones",
        low=0,
        high=1,
        metavar="P",
    )
    format_prior: float = setting(
        12.0,
        "how much likelier free text has to be to win over a plate, in nats (12 is 160,000 times); 0: no "
        "preference",
        low=0,
        metavar="NATS",
    )
    candidates: int = setting(
        0, "so many other texts that each plate may have, with the probability of each", low=0, high=100
    )
    # Beside what is not reported: who asks for less than the default gets a second look at what is doubtful.
    # Of 470 scenes none is read otherwise with 0.75 or 0.5 here.
    retry_below: float = setting(
        0.5,
        "a crop that is no plate, or not sure enough to be reported, is read again, turned and unfolded, and "
        "so is one whose worst character is below this",
        low=0,
        high=1,
        metavar="P",
    )
    # A plate that fills the picture is larger than any that the detector was trained on; shrunk, it is not.
    rescan_side: int = setting(
        320,
        "an image without a plate is searched again with this longer side, and 0.7 of it; 0: never",
        low=0,
        high=4096,
        metavar="PX",
    )
    # What is found by shrinking alone is more often text on a sign: it has to be surer.
    rescan_score: float = setting(
        0.9,
        "as --min-score, for a plate that only a later look found (--rescan-side, --rotate)",
        low=0,
        high=1,
        metavar="P",
    )
    rescan_interval: float = setting(
        1.0, "of a video or stream, one frame in so many seconds is searched again", low=0, metavar="S"
    )
    crops_only: bool = setting(False, "each picture or frame is a plate cut out: nothing is searched for")
    rotate: str = setting(
        "auto",
        "pictures and frames are turned clockwise by so many degrees; auto: a picture that shows no "
        "upright plate is tried on its sides",
        choices=("auto", "0", "90", "180", "270"),
    )
    flip: bool = setting(False, "pictures and frames are mirrored first, for cameras that mirror")
    # However it is tilted: GA 36 plates are 3.1 and 3.4 heights wide, 2 in two rows; a detector's box takes
    # in a frame or loses a character.
    min_aspect: float = setting(1.3, "no plate is narrower than so many heights", low=0.1, high=100)
    max_aspect: float = setting(8.0, "no plate is wider than so many heights", low=0.1, high=100)

    def has_plate_shape(self, crop: Image) -> bool:
        """Tells whether a crop, uint8 h×w×3, is as wide for its height as a plate may be."""
        return bool(self.min_aspect <= crop.shape[1] / crop.shape[0] <= self.max_aspect)


@dataclass(frozen=True)
class GateSettings(Settings):
    """How much of a video's frames is looked at."""

    gate: str = setting(
        "auto",
        "auto: of a video or camera that is read on a CPU, what shows something new; off: all of each frame",
        choices=("off", "auto"),
    )
    full_look: float = setting(
        1.0,
        "a whole frame is looked at after so many seconds, at the latest; where nothing changes, after ten "
        "times as many",
        low=0,
        high=3600,
        metavar="S",
    )
    look_interval: float = setting(
        0.2,
        "what moves is looked at after so many seconds; a plate that is known, after twice as many at most",
        low=0,
        high=60,
        metavar="S",
    )


@dataclass(frozen=True)
class TrackSettings(Settings):
    """How the reads of one vehicle are joined."""

    min_iou: float = setting(
        0.15, "two boxes that overlap this much are one plate", low=0, high=1, metavar="IOU"
    )
    min_similarity: float = setting(
        0.6, "two texts this alike are one plate where their boxes are near", low=0, high=1
    )
    max_gap: float = setting(
        1.5,
        "a track ends when its plate was not read for this long, nor in five frames that were read",
        low=1e-3,
        high=1e9,
        metavar="S",
    )
    max_delay: float = setting(
        1.0,
        "a vehicle whose text is not sure is told of so long after it could be; updates are no more frequent",
        low=0,
        high=1e9,
        metavar="S",
    )
    min_reads: int = setting(2, "a track of fewer reads is not reported, unless one is sure enough", low=1)
    min_confidence: float = setting(
        0.8,
        "one read alone is reported where its worst character reaches this",
        low=0,
        high=1,
        metavar="P",
    )
    early_width: int = setting(
        80,
        "a vehicle whose text is sure is told of at once where its plate is this wide, in pixels; one with a "
        "smaller plate waits as if it were not sure",
        low=0,
        high=100_000,
        metavar="PX",
    )


def split_settings(
    changes: Mapping[str, object],
) -> tuple[dict[str, object], dict[str, object], dict[str, object], dict[str, object]]:
    """Divides settings by name: those of `DetectorSettings`, `ReadSettings`, `TrackSettings`, `GateSettings`.

    Raises:
        SettingError: A name is none of theirs.
    """
    kinds = DetectorSettings, ReadSettings, TrackSettings, GateSettings
    known = [name for kind in kinds for name in kind.names()]
    unknown = sorted(set(changes) - set(known))
    if unknown:
        raise SettingError(f"no setting {unknown[0]!r}; there are {', '.join(known)}")
    det, read, track, gate = ({n: v for n, v in changes.items() if n in kind.names()} for kind in kinds)
    return det, read, track, gate
