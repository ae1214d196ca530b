"""Annotated images and videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_lpr.errors import OutputError, SettingError
from edge_lpr.io.atomic_io import create_folder, safe_name, unique
from edge_lpr.io.decoder import DEFAULT_FPS
from edge_lpr.io.drawing import draw_reads
from edge_lpr.io.frames import Source
from edge_lpr.io.image_io import IMAGES_WRITTEN, write_image
from edge_lpr.io.sources import VIDEO_SUFFIXES, Target
from edge_lpr.io.video_io import VIDEOS_WRITTEN, VideoFile
from edge_lpr.outputs.base import ALONE, OUTPUTS, Output, OutputKind, RunInfo
from edge_lpr.outputs.records import Result, utc_stamp
from edge_lpr.pipeline.stream import FrameResult

__all__ = ["AnnotatedOutput"]

_NOT_WRITTEN = VIDEO_SUFFIXES - set(VIDEOS_WRITTEN) | {".gif"}


class AnnotatedOutput(Output):
    """Annotated images and videos.

    Args:
        path: An image or video to write, where there is one such source; else a folder, in which each result
            has its source's name (and, from a folder, its place in it).
        run: The run; its sources are checked before anything is read.

    Raises:
        SettingError: A file for several sources, or one that would overwrite a source.
        OutputError: It cannot be written to.
    """

    def __init__(self, path: str | Path, run: RunInfo = ALONE) -> None:
        path = Path(path)
        self._file = path if _is_file_name(path) else None
        self._folder = path
        self._names: set[str] = set()
        self._videos: dict[Source, VideoFile] = {}
        if self._file is not None:
            _check_fits(self._file, run.targets)
        elif path.suffix.lower() in _NOT_WRITTEN and not path.is_dir():
            kinds = ", ".join([*sorted(IMAGES_WRITTEN), *VIDEOS_WRITTEN])
            raise SettingError(
                f"--save {path}: cannot be written as {path.suffix}; use one of {kinds}, or a folder"
            )
        create_folder(self._file.parent if self._file else self._folder)
        for target in run.targets:
            for source in target.paths:
                self._path(source, target.root, source.suffix if target.kind == "images" else ".mp4")

    def write(self, frame_result: FrameResult, results: Sequence[Result]) -> None:
        """Draws the reads of one frame, and writes the image or appends to the video.

        Raises:
            OutputError: It cannot be written.
            SettingError: It would overwrite the source, where the run's sources were not known before.
        """
        frame, source = frame_result.frame, frame_result.source
        if frame is None:
            return
        image = frame.image.copy()
        draw_reads(image, frame_result.reads)
        if source.is_image:
            path = Path(frame.name)
            write_image(self._unique(self._path(path, source.root, path.suffix)), image)
            return
        if source not in self._videos:
            self._videos[source] = self._video(source)
        self._videos[source].write(image, frame.time or 0.0)

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

    def _video(self, source: Source) -> VideoFile:
        if source.live and self._file is None:
            # The time of day in the name: a camera started again must not replace what it saw before.
            path = self._folder / f"{safe_name(source.label)}-{utc_stamp(source.started or 0.0)}.mp4"
        else:
            path = self._path(Path(source.label), source.root, ".mp4")
        return VideoFile(self._unique(path), source.fps or DEFAULT_FPS, source.live)

    def _path(self, source: Path, root: Path | None, suffix: str) -> Path:
        """Returns where the result of a source goes, before it is made unique."""
        if self._file is not None:
            path = self._file
        else:
            inside = source.relative_to(root) if root is not None else Path(source.name)
            path = self._folder / inside.with_suffix(suffix)
        if path.exists() and source.exists() and path.samefile(source):
            raise SettingError(f"--save {self._folder}: would overwrite {source}; give another folder")
        return path

    def _unique(self, path: Path) -> Path:
        if self._file is not None:
            if self._names:
                raise OutputError(f"{path}: one file does not fit several sources; give a folder")
            self._names.add(path.name)
            return path
        path = self._folder / unique(str(path.relative_to(self._folder)), self._names)
        create_folder(path.parent)
        return path


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
        flag="--save",
        metavar="PATH",
        help="annotated image or video; a folder where there are several sources",
    )
)
