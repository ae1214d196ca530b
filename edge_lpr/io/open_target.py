"""Opens what was found, each kind by what reads it; refuses what FFmpeg would take for something else."""

from __future__ import annotations

from collections.abc import Callable

import cv2

from edge_lpr.counting import counted
from edge_lpr.errors import SourceError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.frames import Source
from edge_lpr.io.guarded_open import has_backend
from edge_lpr.io.image_io import FORMATS
from edge_lpr.io.image_source import ImageSource
from edge_lpr.io.live_source import LiveSource
from edge_lpr.io.playlist import JoinedFiles, is_playlist
from edge_lpr.io.sniff import read_head, sniff
from edge_lpr.io.standard_input import STDIN, STDIN_LABEL, StdinImage, standard_input
from edge_lpr.io.targets import Kind, Target
from edge_lpr.io.video_source import VideoSource

__all__ = ["check_video", "open_target"]

_PLAYLISTS = (b"[playlist]", b"<?xml", b"<MPD", b"<smil", b"<asx")
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\f\r\x1b")


def open_target(
    target: Target,
    options: CaptureOptions,
    on_warning: Callable[[str], None],
    on_note: Callable[[str], None],
) -> Source:
    """Opens one target.

    Args:
        target: What `find_targets` gave.
        options: How it is read; images heed the stride and the limit in pixels.
        on_warning: See `Source`.
        on_note: Called with one line for what is good to know of how it is read.

    Raises:
        SourceError: It cannot be opened.
    """
    if target.address == STDIN:
        return _open_stdin(target.kind, options, on_warning, on_note)
    if target.kind == "images":
        return ImageSource(target.label, target.paths, options.max_pixels, on_warning, options.stride)
    if target.kind == "video":
        return _open_video(target, options, on_warning, on_note)
    return _open_live(target, options, on_warning)


def _open_live(target: Target, options: CaptureOptions, on_warning: Callable[[str], None]) -> Source:
    if target.kind == "camera":
        expected = "no camera there, in use by another program, or no permission (ls /dev/video*)"
        return LiveSource(target, options, True, on_warning, expected)
    if target.kind == "pipeline":
        if not has_backend(cv2.CAP_GSTREAMER):
            raise SourceError(
                f"{target.label}: a GStreamer pipeline, and this OpenCV {cv2.__version__} has no GStreamer; "
                "edge-lpr doctor says how to get one that has it"
            )
        expected = (
            "see that it runs in gst-launch-1.0 and ends in: videoconvert ! video/x-raw,format=BGR ! appsink"
        )
        return LiveSource(target, options, None, on_warning, expected)
    if options.decode == "nvidia":
        from edge_lpr.io.nvidia_decode import check_nvidia, decodes_nvidia

        if decodes_nvidia(target.address):
            check_nvidia()
    expected = "refused, wrong path, user or password, or no video there"
    return LiveSource(target, options, None, on_warning, expected)


def _open_stdin(
    kind: Kind, options: CaptureOptions, on_warning: Callable[[str], None], on_note: Callable[[str], None]
) -> Source:
    data = standard_input()
    data.take()
    if kind == "images":
        return StdinImage(data, options.max_pixels, on_warning)
    if not data.head():
        raise SourceError(f"{STDIN_LABEL}: nothing came; send an image or video: cat a.mp4 | edge-lpr -")
    check_video(STDIN_LABEL, data.head())
    video = data.put_aside(on_note) if data.index_is_last() else data
    return VideoSource(STDIN_LABEL, [(STDIN_LABEL, video)], options, on_warning)


def _open_video(
    target: Target,
    options: CaptureOptions,
    on_warning: Callable[[str], None],
    on_note: Callable[[str], None],
) -> Source:
    label, playlist = target.label, target.playlist
    named = [(label, file) for file in target.paths]
    if playlist is not None:
        files = playlist.files
        on_note(f"{label}: a playlist of {counted(len(files), 'files')}, read as one video")
        if playlist.joined:
            return VideoSource(label, [(label, JoinedFiles(files))], options, on_warning)
        named = [(f"{label}, {name}", file) for name, file in zip(playlist.names, files, strict=True)]
    for name, file in named:
        check_video(name, read_head(file, shown=name))
    return VideoSource(label, [(name, str(file.resolve())) for name, file in named], options, on_warning)


def check_video(name: str, head: bytes) -> None:
    """Refuses what FFmpeg would take for something else than a video.

    Args:
        name: What messages call it.
        head: Its first bytes.
    """
    if not head:
        raise SourceError(f"{name}: the file is empty (0 bytes)")
    # A playlist sends its reader to other files and addresses, and may come from a stranger.
    if is_playlist(head) or head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(_PLAYLISTS):
        raise SourceError(
            f"{name}: a playlist, which names other files; give those, or the address that it comes from"
        )
    # FFmpeg "plays" plain text. Of the containers that it knows better, a YUV4MPEG alone may look like one.
    if sniff(head) is None and not _CONTROL.intersection(head):
        raise SourceError(f"{name}: a text file; expected a video, or an image ({FORMATS})")
