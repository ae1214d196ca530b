"""Where results go: JSON lines, CSV, annotated images and videos, plate crops.

Each sink raises `OutputError` naming its file; the caller closes that sink and goes on with the others.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol, TextIO

from edge_lpr.errors import SettingError
from edge_lpr.io.atomic_io import (
    IMAGES_WRITTEN,
    VIDEOS_WRITTEN,
    TextFile,
    VideoFile,
    create_folder,
    output_error,
    safe_name,
    unique,
    write_image,
)
from edge_lpr.io.capture import DEFAULT_FPS
from edge_lpr.io.drawing import draw_reads
from edge_lpr.io.frames import Source
from edge_lpr.io.sources import VIDEO_SUFFIXES, Target
from edge_lpr.outputs.records import FIELDS, Result
from edge_lpr.pipeline.recognizer import crop_plate
from edge_lpr.pipeline.stream import FrameResult
from edge_lpr.pipeline.tracker import PlateEvent

_NOT_WRITTEN = VIDEO_SUFFIXES - set(VIDEOS_WRITTEN) | {".gif"}
_CORNER_COLUMNS = tuple(f"{axis}{i}" for i in range(1, 5) for axis in "xy")


class RecordSink(Protocol):
    """Takes one record per line."""

    def write(self, record: dict[str, Any]) -> None:
        """Writes one record.

        Raises:
            OutputError: It cannot be written.
        """

    def close(self) -> None:
        """Completes the output; may be called twice."""


class JsonlSink:
    """One JSON object per line, UTF-8, written through at once."""

    def __init__(self, out: TextFile | TextIO) -> None:
        self._out = out

    def write(self, record: dict[str, Any]) -> None:
        """Writes one record; see `RecordSink`."""
        _put(self._out, json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")

    def close(self) -> None:
        """Completes the file."""
        _close(self._out)


class CsvSink:
    """A table that spreadsheets open as it is, written through row by row.

    A cell that a spreadsheet would take for a formula gets an apostrophe in front, as OWASP advises against
    CSV injection: names of files and addresses come from others.
    """

    def __init__(self, out: TextFile | TextIO, header: bool = True) -> None:
        self._out = out
        names = [name for name, _, _ in FIELDS]
        at = names.index("corners")
        if header:
            self._row([*names[:at], *_CORNER_COLUMNS, *names[at + 1 :]])

    def write(self, record: dict[str, Any]) -> None:
        """Writes one record; see `RecordSink`."""
        cells: list[object] = []
        for name, value in record.items():
            if name == "corners":
                cells += [v for point in value for v in point]
            elif name == "char_scores":
                cells.append(" ".join("" if v is None else str(v) for v in value))
            elif isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
                cells.append("'" + value)
            else:
                cells.append(value)
        self._row(cells)

    def close(self) -> None:
        """Completes the file."""
        _close(self._out)

    def _row(self, cells: list[Any]) -> None:
        line = io.StringIO()
        csv.writer(line).writerow(cells)
        _put(self._out, line.getvalue())


class CropSink:
    """The plates' images, as PNG, named by source, frame and text.

    Args:
        folder: Where to; made where it is missing.

    Raises:
        OutputError: The folder cannot be made or written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: set[str] = set()
        create_folder(folder)

    def write(self, result: Result) -> str | None:
        """Writes one crop; gives the name of its file in the folder, None where the result has no image.

        Raises:
            OutputError: It cannot be written.
        """
        item = result.item
        if isinstance(item, PlateEvent):
            crop, frame = item.crop, item.first_frame
        else:
            crop = crop_plate(result.frame.image, item.corners) if result.frame else None
            frame = result.frame.index if result.frame else 0
        if crop is None:
            return None
        stem = safe_name(Path(result.name).stem if not result.source.live else result.name)
        when = utc_stamp(result.source.started) + "-" if result.source.started else ""
        name = unique(f"{stem}-{when}{frame:06d}-{safe_name(item.text)}.png", self._names)
        write_image(self._folder / name, crop)
        return name


class SaveSink:
    """Annotated images and videos.

    Args:
        path: An image or video to write, where there is one such source; else a folder, in which each result
            has its source's name (and, from a folder, its place in it).
        targets: All sources of the run.

    Raises:
        SettingError: A file for several sources, or one that would overwrite a source.
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path, targets: Sequence[Target]) -> None:
        self._file = path if is_file_name(path) else None
        self._folder = path
        self._names: set[str] = set()
        self._videos: dict[Source, VideoFile] = {}
        if self._file is not None:
            several = len(targets) > 1 or sum(len(t.paths) for t in targets) > 1
            still = targets[0].kind == "images" if targets else False
            if several or still != (path.suffix.lower() in IMAGES_WRITTEN):
                what = "several sources" if several else "an image" if still else "a video"
                raise SettingError(
                    f"--save {path}: one file does not fit {what}; give a folder, as in --save out/"
                )
        elif path.suffix.lower() in _NOT_WRITTEN and not path.is_dir():
            kinds = ", ".join([*sorted(IMAGES_WRITTEN), *VIDEOS_WRITTEN])
            raise SettingError(
                f"--save {path}: cannot be written as {path.suffix}; use one of {kinds}, or a folder"
            )
        create_folder(self._file.parent if self._file else self._folder)
        for target in targets:
            for source in target.paths:
                out = self._path(source, target.root, source.suffix if target.kind == "images" else ".mp4")
                if out.exists() and out.samefile(source):
                    raise SettingError(f"--save {path}: would overwrite {source}; give another folder")

    def write(self, step: FrameResult) -> None:
        """Draws the reads of one frame and writes the image.

        Raises:
            OutputError: It cannot be written.
        """
        frame, source = step.frame, step.source
        if frame is None:
            self.finish(source)
            return
        image = frame.image.copy()
        draw_reads(image, step.reads)
        if source.is_image:
            path = Path(frame.name)
            write_image(self._unique(self._path(path, source.root, path.suffix)), image)
            return
        if source not in self._videos:
            self._videos[source] = self._video(source)
        self._videos[source].write(image, frame.time or 0.0)

    def finish(self, source: Source) -> None:
        """Completes the video of one source."""
        video = self._videos.pop(source, None)
        if video is not None:
            video.close()

    def close(self) -> None:
        """Completes all videos."""
        for source in list(self._videos):
            self.finish(source)

    def _video(self, source: Source) -> VideoFile:
        if source.live and self._file is None:
            # The time of day in the name: a camera started again must not replace what it saw before.
            path = self._folder / f"{safe_name(source.label)}-{utc_stamp(source.started or 0.0)}.mp4"
        else:
            path = self._path(Path(source.label), source.root, ".mp4")
        return VideoFile(self._unique(path), source.fps or DEFAULT_FPS, source.live)

    def _path(self, source: Path, root: Path | None, suffix: str) -> Path:
        if self._file is not None:
            return self._file
        inside = source.relative_to(root) if root is not None else Path(source.name)
        return self._folder / inside.with_suffix(suffix)

    def _unique(self, path: Path) -> Path:
        if self._file is not None:
            return path
        path = self._folder / unique(str(path.relative_to(self._folder)), self._names)
        create_folder(path.parent)
        return path


def is_file_name(path: Path) -> bool:
    """Tells whether a path of --save means a file by its suffix, and not a folder."""
    return not path.is_dir() and path.suffix.lower() in {*IMAGES_WRITTEN, *VIDEOS_WRITTEN}


def _put(out: TextFile | TextIO, text: str) -> None:
    if isinstance(out, TextFile):
        out.write(text)
        return
    try:
        out.write(text)
        out.flush()
    except BrokenPipeError:
        raise  # who reads our output has gone: no fault to report
    except OSError as e:
        raise output_error(Path("standard output"), e) from e


def _close(out: TextFile | TextIO) -> None:
    if isinstance(out, TextFile):
        out.close()


def utc_stamp(started: float) -> str:
    """Writes a moment for the name of a file: "20261122T181502Z"."""
    return datetime.fromtimestamp(started, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
