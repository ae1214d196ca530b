"""What a user names as a source, and the frames that come out of it.

A source is an image, a folder, a glob, a video file, a playlist of files beside it, standard input ("-"), a
camera index, an address or a GStreamer pipeline; the last three may have a name ("gate=0"), and hold
variables ("${PASSWORD}") or lie in a file ("@cameras.txt").
Folders are read with all their subfolders, hidden files and linked folders left out, in natural order
("frame2" before "frame10"). What a file is, its content says.
"""

from __future__ import annotations

import errno
import glob
import logging
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from edge_lpr.addresses import SCHEMES, is_address, is_pipeline, may_hold_secret, shown_source
from edge_lpr.errors import SourceError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.folders import left_out_line, sort_files
from edge_lpr.io.frames import Source
from edge_lpr.io.open_target import open_target
from edge_lpr.io.playlist import is_playlist, read_playlist
from edge_lpr.io.references import Reference, resolve
from edge_lpr.io.sniff import IMAGE_SUFFIXES, VIDEO_SUFFIXES, medium_of, read_head
from edge_lpr.io.standard_input import STDIN, STDIN_LABEL, standard_input
from edge_lpr.io.targets import Kind, Target
from edge_lpr.io.walk import regular_files, unreadable, walk_files
from edge_lpr.masking import remember

__all__ = ["LeftOut", "Target", "find_targets", "open_source", "told_apart"]

_logger = logging.getLogger("edge_lpr")

LeftOut = Callable[[str, Counter[str]], None]
"""Takes a folder or glob, and how many files in it are no images or videos, by suffix."""


def find_targets(
    source: str | int | Path,
    on_warning: Callable[[str], None] | None = None,
    on_left_out: LeftOut | None = None,
) -> list[Target]:
    """Finds what a source is, without opening it.

    Args:
        source: An image, folder, glob, video file, camera index, address or GStreamer pipeline; the last
            three may be given as `edge_lpr.io.references` has it.
        on_warning: Called with one line for each file or folder in it that cannot be looked at; None logs it.
        on_left_out: Called with a folder or glob, and how many files in it are no images or videos, by
            suffix ("" is none), where there are any; None logs it.

    Returns:
        What to open, in order; the images of a folder or glob are one target.

    Raises:
        SourceError: There is no such thing, or nothing in it.
    """
    text = str(source)
    if text == STDIN:
        kind: Kind = "images" if standard_input().is_image() else "video"
        return [Target(kind, STDIN_LABEL, address=STDIN)]
    if not text.strip() or "\0" in text:
        raise SourceError(f"source {text!r}: expected an image, folder, glob, video, camera index or address")
    path = Path(text)
    problems: list[str] = []
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as e:
        if e.errno != errno.ENAMETOOLONG:  # an address may be longer than a name
            problems.append(unreadable(text, e))
    else:
        return _told(_of_path(path, text, mode, problems, on_left_out), problems, on_warning)
    if problems:
        if glob.has_magic(text):  # names the folder that is closed
            return _of_glob(text, on_warning, on_left_out)
        raise SourceError(problems[0])
    return [
        target for reference in resolve(text) for target in _of_reference(reference, on_warning, on_left_out)
    ]


def told_apart(targets: Sequence[Target]) -> list[Target]:
    """Returns live targets with labels that differ: the second of a label gets " #2".

    Two channels of one recorder may differ in what is not shown alone.

    Raises:
        SourceError: A name was given to two.
    """
    count: Counter[str] = Counter()
    apart = []
    for target in targets:
        if target.live:
            count[target.label] += 1
            if (n := count[target.label]) > 1:
                if target.named:
                    raise SourceError(f"{target.label}: the name of two sources; give each its own")
                target = replace(target, label=f"{target.label} #{n}")  # noqa: PLW2901
        apart.append(target)
    return apart


def open_source(
    source: str | int | Path | Target,
    options: CaptureOptions | None = None,
    on_warning: Callable[[str], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Source:
    """Opens one source. A camera, address or pipeline is there at once, and is reached as soon as it can be.

    Args:
        source: What `find_targets` gave, or what it takes where that is one target.
        options: How videos and live sources are read; images heed the stride.
        on_warning: Called with one line for each image or frame that is left out; None logs it.
        on_note: Called with one line for what is good to know of how it is read; None logs it.

    Raises:
        SourceError: It cannot be opened.
    """
    options = options or CaptureOptions()
    if not isinstance(source, Target):
        targets = find_targets(source)
        if len(targets) > 1:
            shown = shown_source(str(source))
            raise SourceError(f"{shown}: {len(targets)} sources; open what find_targets() gives one by one")
        source = targets[0]
    opened = open_target(source, options, on_warning or _logger.warning, on_note or _logger.info)
    opened.root = source.root
    return opened


def _of_reference(
    reference: Reference, on_warning: Callable[[str], None] | None, on_left_out: LeftOut | None
) -> list[Target]:
    text, shown = reference.text, reference.shown
    label, named = reference.name or shown_source(text), bool(reference.name)
    if text.isdecimal() and len(text) <= 3:
        return [Target("camera", reference.name or f"camera {int(text)}", address=text, named=named)]
    if named and _is_device(Path(text)):
        return [Target("camera", label, address=text, named=True)]
    if is_pipeline(text):
        remember(text)
        return [Target("pipeline", label, address=text, named=named)]
    if is_address(text):
        remember(text)
        if text.partition("://")[0].lower() not in SCHEMES:
            raise SourceError(
                f"{label}: addresses start with {', '.join(s + '://' for s in SCHEMES)}; "
                "a file is given by its path alone"
            )
        return [Target("address", label, address=text, named=named)]
    if reference.indirect or named:
        raise SourceError(
            f"{shown}: neither an address, a pipeline nor a camera; names, variables and @files are for those"
        )
    if may_hold_secret(text):
        remember(text)
        raise SourceError(
            f"{shown}: no file, and no address; one begins with rtsp:// or the like, stands in quotes, "
            "and in its user and password a blank is %20, / is %2F, ? is %3F, the sign before the host %40"
        )
    if glob.has_magic(text):
        return _of_glob(text, on_warning, on_left_out)
    raise SourceError(f"{text}: no such file or folder")


def _of_glob(
    text: str, on_warning: Callable[[str], None] | None, on_left_out: LeftOut | None
) -> list[Target]:
    found = [Path(p) for p in _matching(text)]
    base = Path(os.path.commonpath([p.parent for p in found])) if found else None
    problems = _closed_folders(text)
    files = list(regular_files(found, problems.append))
    targets = _of_files(files, text, base, problems, on_left_out)
    if not targets and not problems:
        raise SourceError(f"{text}: the pattern matches no image or video ({len(found)} other files)")
    return _told(targets, problems, on_warning)


def _matching(pattern: str) -> list[str]:
    """Returns what a pattern matches; "**" follows no links to folders, which may lead round for ever."""
    parts = Path(pattern).parts
    if "**" not in parts:
        return glob.glob(pattern)  # noqa: PTH207 (of any folder)
    place = parts.index("**")
    rest, found = parts[place + 1 :], list[str]()
    for base in glob.glob(str(Path(*parts[:place]))) if place else ["."]:  # noqa: PTH207
        for folder, folders, names in os.walk(base):
            folders[:] = [name for name in folders if not name.startswith(".")]
            if rest:
                found += _matching(str(Path(glob.escape(folder), *rest)))
            else:
                there = [*folders, *names]  # folders too that cannot be looked into: they are told of
                found += [folder, *(str(Path(folder, name)) for name in there if not name.startswith("."))]
    return list(dict.fromkeys(found))


def _is_device(path: Path) -> bool:
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except (OSError, ValueError):  # a name longer than the file system takes
        return False


def _told(
    targets: list[Target], problems: list[str], on_warning: Callable[[str], None] | None
) -> list[Target]:
    """Tells what could not be looked at; where nothing was found, that is the error."""
    if not targets and problems:
        raise SourceError("; ".join(problems))
    for line in problems:
        (on_warning or _logger.warning)(line)
    return targets


def _of_path(
    path: Path, text: str, mode: int, problems: list[str], on_left_out: LeftOut | None
) -> list[Target]:
    if stat.S_ISDIR(mode):
        targets = _of_files(walk_files(path, problems.append), text, path, problems, on_left_out)
        if not targets and not problems:
            raise SourceError(f"{text}: no image or video in this folder")
        return targets
    if stat.S_ISCHR(mode):
        return [Target("camera", text, address=text)]
    if not stat.S_ISREG(mode):
        raise SourceError(f"{text}: neither a file nor a folder nor a camera")
    # One that is called a video is no more than what a stranger may have sent.
    if path.suffix.lower() not in IMAGE_SUFFIXES | VIDEO_SUFFIXES and is_playlist(read_head(path)):
        return [Target("video", text, (path,), playlist=read_playlist(path))]
    return [Target("images" if medium_of(path) == "image" else "video", text, (path,))]


def _of_files(
    files: Iterable[Path], text: str, root: Path | None, problems: list[str], on_left_out: LeftOut | None
) -> list[Target]:
    found = sort_files(files, problems.append)
    if found.left_out:
        if on_left_out is not None:
            on_left_out(text, found.left_out)
        else:
            _logger.warning("%s: %s", text, left_out_line(found.left_out))
    targets = [Target("images", text, tuple(found.images), root=root)] if found.images else []
    return targets + [Target("video", str(p), (p,), root=root) for p in found.videos]


def _closed_folders(pattern: str) -> list[str]:
    """Names the folders that a pattern leads to and that cannot be looked into: `glob` passes over them."""
    problems: list[str] = []
    parts = Path(pattern).parts
    for n in range(1, len(parts)):
        for folder in sorted(_matching(str(Path(*parts[:n])))):
            if os.path.isdir(folder):  # noqa: PTH112 - never raises
                try:
                    os.scandir(folder).close()
                except OSError as e:
                    problems.append(unreadable(folder, e))
    return list(dict.fromkeys(problems))
