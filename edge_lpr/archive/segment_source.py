"""A segment of a video as a source: its frames have the indices and times that they have in the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from edge_lpr.addresses import is_address
from edge_lpr.archive.storage import open_remote
from edge_lpr.archive.units import Segment
from edge_lpr.errors import SourceError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.decoder import end_notes
from edge_lpr.io.frames import Frame, Source
from edge_lpr.io.video_decoder import VideoDecoder

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

__all__ = ["SegmentSource"]


class SegmentSource(Source):
    """The frames of a segment.

    Args:
        address: The video's absolute path, or its address.
        label: What messages and events call it.
        segment: Where it is cut.
        options: See `CaptureOptions`.
        on_warning: See `Source`.
        threads: How many FFmpeg decodes with.

    Raises:
        SourceError: It cannot be opened.
    """

    def __init__(
        self,
        address: str,
        label: str,
        segment: Segment,
        options: CaptureOptions,
        on_warning: Callable[[str], None],
        threads: int = 1,
    ) -> None:
        super().__init__(label, on_warning)
        self._decoder = _SegmentDecoder(address, label, segment, options, threads)
        self._is_last = segment.ends is None
        self._first = segment.first
        self.fps = self._decoder.fps

    def __iter__(self) -> Iterator[Frame]:
        decoder = self._decoder
        for decoded in decoder.frames(lambda: True):
            yield Frame(decoded.image, decoded.index, decoded.seconds, self.label, lasts=decoded.lasts)
        self.received, self.skipped = decoder.received - self._first, decoder.skipped
        if self.received == self.skipped:
            raise SourceError(
                f"{self.label}: opened, but no frame of it can be decoded: damaged or cut short"
            )
        early = self._is_last and decoder.ends_early()
        self.state = "ends early" if early else "done"
        promised = max(decoder.promised, decoder.received)
        for line in end_notes(self.label, decoder.received, promised, self.skipped, early):
            self.on_warning(line)

    def close(self) -> None:
        """Closes the file; may be called twice."""
        self._decoder.close()


class _SegmentDecoder(VideoDecoder):
    """Decodes from a key frame to the next segment's."""

    def __init__(
        self, address: str, label: str, segment: Segment, options: CaptureOptions, threads: int
    ) -> None:
        super().__init__(open_remote(address) if is_address(address) else address, label, options)
        self._segment = segment
        # Of all that are at work on the machine at once, each has its own share of it.
        self._codec.thread_count = threads
        self._first = segment.zero
        self.received = segment.first
        self.seconds = segment.before

    def _packets(self, container: InputContainer) -> Iterator[Packet[Stream] | None]:
        import av

        begins, ends = self._segment.begins, self._segment.ends
        if begins is not None:
            container.seek(begins, stream=self._stream)
        started, missed = begins is None, False
        packets = super()._packets(container)
        while (packet := next(packets, None)) is not None:
            ours = packet.stream is self._stream and packet.pts is not None
            if not started and begins is not None:
                if ours and packet.pts is not None and packet.pts > begins and not missed:
                    # A container without an index may lead past it: then from where the video begins.
                    missed = True
                    container.seek(self._stream.start_time or 0, stream=self._stream)
                    packets = super()._packets(container)
                    continue
                started = ours and packet.pts == begins and packet.is_keyframe
                if not started:
                    continue
            if ours and ends is not None and packet.pts is not None and packet.pts >= ends:
                break
            yield packet
        if not started:
            raise SourceError(f"{self._label}: its key frame at {begins} is not found; was it changed?")
        # As the container's own end: frames that the decoder still holds then keep their times.
        flush = av.Packet()
        flush.stream, flush.time_base = self._stream, self._stream.time_base or Fraction(1)
        yield flush
