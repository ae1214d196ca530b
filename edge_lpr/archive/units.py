"""Units of work: blocks of pictures and segments of videos, each with an identifier that it always has."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edge_lpr.archive.record_types import check_types
from edge_lpr.errors import shown

__all__ = ["NO_DAY", "Failure", "Segment", "SourceFile", "Unit", "identifier"]

NO_DAY = "__HIVE_DEFAULT_PARTITION__"
"""The day of a source of which none is known: what readers of partitioned data sets take for null."""
_ID, _ID_OR_NONE = re.compile("[0-9a-f]{24}"), re.compile("([0-9a-f]{24})?")
_DAY = re.compile(rf"\d{{4}}-\d\d-\d\d|{NO_DAY}")


@dataclass(frozen=True)
class SourceFile:
    """One picture or video.

    Attributes:
        address: Its absolute path, or its address.
        name: What results call it.
        index: Which picture of its source it is, from 0; 0 of a video.
        size: In bytes.
        modified: When it was last changed, in seconds since the epoch; None where storage does not say.
    """

    address: str
    name: str
    index: int
    size: int
    modified: float | None


@dataclass(frozen=True)
class Segment:
    """A part of a video, from a key frame to the next segment's.

    Attributes:
        begins: Time stamp of its key frame, in the stream's own units; None begins with the video.
        ends: That of the next segment's; None ends with the video.
        first: Index of its first frame in the video.
        zero: When the video's first frame is shown, in seconds by the container; None where it does not say.
        before: When the frame before it is shown, in seconds from the video's first.
        rescan: From when on a frame without a plate is searched again, in seconds from the video's first.
    """

    begins: int | None = None
    ends: int | None = None
    first: int = 0
    zero: float | None = None
    before: float = 0.0
    rescan: float | None = None


@dataclass(frozen=True)
class Unit:
    """What one reader does at a time, and commits as one file.

    Attributes:
        id: Made of what it reads: of addresses, sizes and times, and of where it is cut; not of contents.
        day: The day of its sources, "2026-11-27", or `NO_DAY`: the partition of its rows.
        frames: Pictures or frames in it.
        files: Its pictures, or its video.
        video: The identifier that all segments of a video share, and the video's rows bear; "" of pictures.
        part: Which segment of the video it is, from 0.
        parts: How many segments the video has.
        segment: Where it is cut; None of pictures.
    """

    id: str
    day: str
    frames: int
    files: tuple[SourceFile, ...]
    video: str = ""
    part: int = 0
    parts: int = 1
    segment: Segment | None = None

    @property
    def label(self) -> str:
        """What messages call it."""
        name = self.files[0].name
        if not self.video:
            return f"{name} and {len(self.files) - 1} more" if len(self.files) > 1 else name
        return name if self.parts == 1 else f"{name}, part {self.part + 1} of {self.parts}"

    def to_json(self) -> str:
        """Returns it as one line of JSON."""
        return json.dumps(asdict(self))  # in ASCII: names of files need be no Unicode

    @classmethod
    def from_json(cls, text: str) -> Unit:
        """Returns what `to_json` wrote.

        Raises:
            ValueError: It is damaged, or would lead out of the archive's folder.
            TypeError: Likewise.
            KeyError: Likewise.
        """
        data: Mapping[str, Any] = json.loads(text)
        segment = data["segment"]
        files = tuple(SourceFile(**file) for file in data["files"])
        unit = cls(**{**data, "files": files, "segment": segment and Segment(**segment)})
        for name, shape in (("id", _ID), ("video", _ID_OR_NONE), ("day", _DAY)):
            if not shape.fullmatch(getattr(unit, name)):
                raise ValueError(f"a unit's {name} is {shown(getattr(unit, name))}")
        if not unit.files or bool(unit.video) != isinstance(unit.segment, Segment):
            raise ValueError(f"unit {unit.id} is neither pictures nor a part of a video")
        for part in (unit, *unit.files, *([unit.segment] if unit.segment else [])):
            check_types(part)
        return unit


@dataclass(frozen=True)
class Failure:
    """A source that could not be read, or not all of it.

    Attributes:
        source: What results call it.
        reason: One line, secrets masked.
        partly: Whether what could be read of it is in the rows.
        unit: The unit that it belongs to; "" where it was found before there were any.
        lost: Whether nothing of its segment could be read; of a video alone.
    """

    source: str
    reason: str
    partly: bool = False
    unit: str = ""
    lost: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain Python values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Failure:
        """Returns what `to_dict` gave.

        Raises:
            TypeError: It is damaged.
        """
        failure = cls(**data)
        check_types(failure)
        return failure


def identifier(*parts: object) -> str:
    """Returns an identifier: the same for the same parts, in every run and on every machine."""
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
