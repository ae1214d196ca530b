"""Annotated images and videos."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from edge_lpr.errors import OutputError, SettingError
from edge_lpr.io.atomic_io import create_folder, write_bytes
from edge_lpr.io.decoder import DEFAULT_FPS
from edge_lpr.io.drawing import draw_reads
from edge_lpr.io.file_names import fitted, safe_name, unique
from edge_lpr.io.frames import Source
from edge_lpr.io.image_io import IMAGES_WRITTEN, encode_image
from edge_lpr.io.recording import Recording
from edge_lpr.io.sniff import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from edge_lpr.io.sources import Target
from edge_lpr.io.video_io import VIDEOS_WRITTEN, VideoFile, encoder_of
from edge_lpr.outputs.base import ALONE, OUTPUTS, Output, OutputKind, RunInfo
from edge_lpr.outputs.records import Result, utc_stamp
from edge_lpr.pipeline.stream import FrameResult
from edge_lpr.types import Image

__all__ = ["AnnotatedOutput"]

FLAG = "--save"
_KNOWN = IMAGE_SUFFIXES | VIDEO_SUFFIXES | {".gif"}
# What looks like the suffix of a file; a folder may be called 2026.11.26.
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{0,4}[A-Za-z][A-Za-z0-9]{0,4}")
_LOSSLESS = frozenset({".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".dib"})


class AnnotatedOutput(Output):
    """Annotated images and videos.

    Args:
        path: An image or video to write, where there is one such source; else a folder, in which each result
            has its source's name (and, from a folder, its place in it), and its format where that can be
            written: others become JPEG or PNG. Cameras and streams give one video after the other, and
            replace none.
        run: The run; its sources are checked before anything is read.

    Raises:
        SettingError: A file for several sources, or one that would overwrite a source.
        OutputError: It cannot be written to.
    """

    unit = "frames"

    def __init__(self, path: str | Path, run: RunInfo = ALONE) -> None:
        is_folder = str(path).endswith(("/", os.sep))
        path = Path(path)
        self._file = path if _is_file_name(path) else None
        self._folder = path
        self._run = run
        self._claims = run.own_claims()
        self._names: set[str] = set()
        self._told: set[str] = set()
        self._videos: dict[Source, VideoFile | Recording] = {}
        if self._file is not None:
            _check_fits(self._file, run.targets)
            if self._file.suffix.lower() in VIDEOS_WRITTEN:
                encoder_of(self._file)
        elif _SUFFIX.fullmatch(path.suffix) and not is_folder and not path.is_dir():
            kinds = ", ".join([*sorted(IMAGES_WRITTEN), *VIDEOS_WRITTEN])
            raise SettingError(
                f"--save {path}: cannot be written as {path.suffix}; use one of {kinds}, or a folder, with a "
                "/ at its end"
            )
        self._claims.check(path, FLAG)
        for target in run.targets:
            for source in target.paths:
                suffix = _written_suffix(source) if target.kind == "images" else ".mp4"
                self._claims.claim(self._path(source, target.root, suffix), FLAG)
        create_folder(self._file.parent if self._file else self._folder)

    def write(self, frame_result: FrameResult, results: Sequence[Result]) -> None:
        """Draws the reads of one frame, and writes the image or appends to the video.

        Where vehicles are tracked, each plate has the text that is known of its vehicle by then.

        Raises:
            OutputError: It cannot be written.
            SettingError: It would overwrite the source, where the run's sources were not known before.
        """
        frame, source = frame_result.frame, frame_result.source
        if frame is None:
            return
        image = frame.image.copy()
        draw_reads(image, frame_result.reads if frame_result.known is None else frame_result.known)
        if source.is_image:
            self._write_image(image, Path(frame.name), source.root)
            return
        if source not in self._videos:
            self._videos[source] = self._video(source)
        self._videos[source].write(image, frame.time or 0.0, frame.lasts)

    def finish(self, source: Source) -> None:
        """Completes the video of one source; does nothing where none was begun.

        Raises:
            OutputError: It cannot be completed.
        """
        video = self._videos.pop(source, None)
        if video is not None:
            video.close()

    def close(self) -> None:
        """Completes all videos.

        Raises:
            OutputError: Some cannot be completed; each is named, once the others are complete.
        """
        failures: list[str] = []
        for source in list(self._videos):
            try:
                self.finish(source)
            except OutputError as e:
                failures.append(str(e))
        if failures:
            raise OutputError("; ".join(failures))

    def _write_image(self, image: Image, source: Path, root: Path | None) -> None:
        own = source.suffix.lower()
        suffix = _written_suffix(source) if self._file is None else self._file.suffix
        data = encode_image(image, suffix)
        height, width = image.shape[:2]
        cannot = f"{width}×{height} pixels cannot be encoded as {suffix}"
        if data is None and self._file is None:
            self._run.on_note(f"{FLAG}: {source}: {cannot}, and are written as .png")
            suffix = ".png"
            data = encode_image(image, suffix)
        elif self._file is None and suffix != source.suffix and own not in self._told:
            self._told.add(own)
            self._run.on_note(
                f"{FLAG}: {own or 'what has no suffix'} is written as {suffix}, and so are all such"
            )
        path = self._unique(self._path(source, root, suffix), source)
        if data is None:
            raise OutputError(f"{path}: {cannot}")
        write_bytes(path, data, durable=False)

    def _video(self, source: Source) -> VideoFile | Recording:
        fps = source.fps or DEFAULT_FPS
        if source.live:
            name = partial(self._recording_path, source)
            return Recording(name, fps, self._run.recording, self._run.on_warning)
        label = Path(source.label)
        return VideoFile(self._unique(self._path(label, source.root, ".mp4"), label), fps)

    def _recording_path(self, source: Source, seconds: float) -> Path:
        """Returns where a video of a camera goes that begins at so many seconds."""
        # The time of day in the name: a camera started again must not replace what it saw before.
        stamp = f"-{utc_stamp((source.started or 0.0) + seconds)}"
        if self._file is None:
            create_folder(self._folder)
            return self._folder / f"{safe_name(source.label)}{stamp}.mp4"
        if not self._file.exists():
            return self._file
        return self._file.with_name(fitted(self._file.stem, f"{stamp}{self._file.suffix}"))

    def _path(self, source: Path, root: Path | None, suffix: str) -> Path:
        """Returns where the result of a source goes, before it is made unique."""
        if self._file is not None:
            return self._file
        inside = source.relative_to(root) if root is not None else Path(source.name)
        # What follows the last dot may be a part of the name.
        stem = inside.stem if inside.suffix.lower() in _KNOWN else inside.name
        return self._folder / inside.with_name(fitted(stem, suffix))

    def _unique(self, path: Path, source: Path) -> Path:
        self._claims.reads(source)
        if self._file is not None:
            if self._names:
                raise OutputError(f"{path}: one file does not fit several sources; give a folder")
            self._claims.check(path, FLAG)
            self._names.add(path.name)
            return path
        wanted = str(path.relative_to(self._folder))
        if wanted.casefold() not in self._names:
            self._claims.check(path, FLAG)
        path = self._folder / unique(wanted, self._names)
        while self._claims.is_taken(path, FLAG):
            path = self._folder / unique(wanted, self._names)
        deleted = not self._folder.is_dir()
        create_folder(path.parent)
        if deleted:
            self._run.on_warning(f"{self._folder}: was deleted or moved away; the folder is made again")
        return path


def _written_suffix(source: Path) -> str:
    """Returns what the result of a picture is written as: as itself, where that can be."""
    suffix = source.suffix.lower()
    if suffix in IMAGES_WRITTEN:
        return source.suffix
    return ".png" if suffix in _LOSSLESS else ".jpg"


def _is_file_name(path: Path) -> bool:
    """Tells whether a path means a file by its suffix, and not a folder."""
    return not path.is_dir() and path.suffix.lower() in {*IMAGES_WRITTEN, *VIDEOS_WRITTEN}


def _check_fits(path: Path, targets: Sequence[Target]) -> None:
    """Refuses one file for several sources, or an image for a video."""
    if not targets:  # used by itself: `write` sees what comes
        return
    several = len(targets) > 1 or sum(len(t.paths) for t in targets) > 1
    is_image = targets[0].kind == "images"
    if several or is_image != (path.suffix.lower() in IMAGES_WRITTEN):
        what = "several sources" if several else "an image" if is_image else "a video"
        raise SettingError(f"--save {path}: one file does not fit {what}; give a folder, as in --save out/")


OUTPUTS.register(
    OutputKind(
        name="save",
        rank=50,
        open=AnnotatedOutput,
        flag=FLAG,
        metavar="PATH",
        help="annotated image or video; a folder where there are several sources",
    )
)
