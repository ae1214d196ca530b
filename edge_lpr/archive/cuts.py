"""Where a video is cut: at key frames that all earlier frames are shown before, and all later ones after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_lpr.addresses import is_address
from edge_lpr.archive.storage import head_of, open_remote
from edge_lpr.archive.units import Segment
from edge_lpr.errors import SourceError
from edge_lpr.io.guarded_open import open_video
from edge_lpr.io.open_target import check_video

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["Cuts", "cut", "segments_of"]


@dataclass(frozen=True)
class Cuts:
    """A video's segments.

    Attributes:
        segments: In their order.
        frames: How many frames each has.
        seconds: How long the video is, as far as its time stamps say.
    """

    segments: tuple[Segment, ...]
    frames: tuple[int, ...]
    seconds: float


def cut(address: str, label: str, seconds: float, stride: int, rescan_interval: float) -> Cuts:
    """Reads a video once, without decoding it, and finds where it is cut.

    Args:
        address: The video.
        label: What messages call it.
        seconds: How long a segment is at least; 0 cuts at each key frame.
        stride: Every Nth frame is read.
        rescan_interval: Seconds from one frame that is searched again to the next.

    Returns:
        Its segments. There is one alone where its frames have no time stamps of their own, or where frames
        are shown in another order than key frames divide them.

    Raises:
        SourceError: It cannot be opened.
    """
    import av

    check_video(label, head_of(address))
    container = open_video(open_remote(address) if is_address(address) else address, label)
    with container:
        stream = container.streams.best("video")
        if not isinstance(stream, av.VideoStream) or stream.time_base is None:
            raise SourceError(f"{label}: no video in it")
        packets = list(_packets(container))
        if container.format.name == "avi" and stream.codec_context.has_b_frames:
            packets = [(None, is_key) for _, is_key in packets]  # its stamps say when a frame is stored
        return segments_of(
            packets,
            stream.time_base.numerator,
            stream.time_base.denominator,
            seconds,
            stride,
            rescan_interval,
        )


def segments_of(
    packets: Sequence[tuple[int | None, bool]],
    numerator: int,
    denominator: int,
    seconds: float,
    stride: int,
    rescan_interval: float,
) -> Cuts:
    """Divides a video by its packets.

    Args:
        packets: Time stamp of each, and whether it is a key frame, in the order in which they are stored.
        numerator: Of the unit of time stamps, in seconds.
        denominator: Likewise.
        seconds: See `cut`.
        stride: See `cut`.
        rescan_interval: See `cut`.
    """
    stamps = sorted(pts for pts, _ in packets if pts is not None)
    if not packets or len(stamps) < len(packets) or len(set(stamps)) < len(stamps):
        return Cuts((Segment(),), (len(packets),), 0.0)
    # As PyAV and `VideoDecoder` compute it: a frame's time is to be the same to the last bit.
    shown = [float(pts) * numerator / denominator for pts in stamps]
    times = [time - shown[0] for time in shown]
    begins = [0]
    index = {pts: place for place, pts in enumerate(stamps)}
    for pts in _clean_keys(packets):
        if times[index[pts]] - times[begins[-1]] >= max(seconds, 1e-9):
            begins.append(index[pts])
    ends = [*begins[1:], len(stamps)]
    states = _rescans(times, stride, rescan_interval, begins)
    segments = [
        Segment(
            begins=stamps[first] if first else None,
            ends=stamps[last] if last < len(stamps) else None,
            first=first,
            zero=shown[0],
            before=times[first - 1] if first else 0.0,
            rescan=state,
        )
        for first, last, state in zip(begins, ends, states, strict=True)
    ]
    if len(segments) == 1:
        segments = [replace(segments[0], zero=None)]
    frames = tuple(last - first for first, last in zip(begins, ends, strict=True))
    return Cuts(tuple(segments), frames, times[-1])


def _clean_keys(packets: Sequence[tuple[int | None, bool]]) -> Iterator[int]:
    """Gives the time stamps of key frames that divide what is stored as what is shown."""
    stamps = [pts or 0 for pts, _ in packets]
    least_after = [0] * len(stamps)
    least = None
    for place in range(len(stamps) - 1, -1, -1):
        least_after[place] = stamps[place] + 1 if least is None else least
        least = stamps[place] if least is None else min(least, stamps[place])
    latest = None
    for place, (pts, is_key) in enumerate(packets):
        if is_key and latest is not None and pts is not None and latest < pts < least_after[place]:
            yield pts
        latest = stamps[place] if latest is None else max(latest, stamps[place])


def _rescans(
    times: Sequence[float], stride: int, interval: float, begins: Sequence[int]
) -> list[float | None]:
    """Returns, for each segment, from when on a frame is searched again: what `Stream` would have come to."""
    states: list[float | None] = []
    wanted = set(begins)
    due: float | None = None
    for place, time in enumerate(times):
        if place in wanted:
            states.append(due)
        if place % stride == 0 and (due is None or time >= due):
            due = time + interval
    return states


def _packets(container: InputContainer) -> Iterator[tuple[int | None, bool]]:
    import av

    stream = container.streams.best("video")
    try:
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard:
                yield packet.pts, bool(packet.is_keyframe)
    except (av.error.FFmpegError, OSError, ValueError):
        # What is behind damage is not cut: the last segment goes on to the end, and its decoder gets past.
        return
