"""Videos that are files or streams of bytes, by PyAV: AV1, edit lists, rotation, each frame's own time."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge_lpr.errors import SourceError, one_line
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.decoder import DEFAULT_FPS, Decoded, Decoder
from edge_lpr.io.guarded_open import ByteStream, open_video
from edge_lpr.io.image_header import read_header
from edge_lpr.types import Image

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame

__all__ = ["VideoDecoder"]

_BROKEN = 250  # damaged packets on end after which nothing more is expected: ten seconds
_THREADS = 16  # more make a decoder no faster, as FFmpeg has it
_TIMED = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "flv", "asf", "mxf", "nut"})
"""Containers that say how long they are; of others FFmpeg guesses."""
_FROM_ZERO = frozenset({"matroska,webm", "asf", "nut"})
"""Those of them that say when they end, by a clock that need not be at zero where they begin."""
_IMAGE_CODECS = frozenset({"mjpeg", "mjpegb", "ljpeg", "jpegls", "png", "apng", "webp"})
"""Codecs of whose frames each is an image file, with a size of its own."""
_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


class VideoDecoder(Decoder):
    """Decodes a video in FFmpeg's own threads, which work ahead while a frame is read.

    A frame that is larger than the limit is never decoded: FFmpeg is told the limit.

    Args:
        video: Its absolute path, or its bytes, which are read once from first to last.
        label: What messages call it.
        options: See `CaptureOptions`.
        live: Whether it is live.
        container: FFmpeg's name of its container; "" finds out.
        packet_bytes: Most bytes that are read for one packet; 0: any number.

    Raises:
        SourceError: It cannot be opened, holds no video, or one with larger frames.
    """

    def __init__(
        self,
        video: str | ByteStream,
        label: str,
        options: CaptureOptions,
        live: bool = False,
        container: str = "",
        packet_bytes: int = 0,
    ) -> None:
        super().__init__(label, options.stride, options.max_pixels)
        self.live = live
        self._bytes = None if isinstance(video, str) else _Guarded(video, label, packet_bytes)
        self._container: InputContainer | None = None
        try:
            self._container = open_video(self._bytes or str(video), label, container)
            self._open(self._container)
        except BaseException:
            self.close()
            self._check_bytes()
            raise

    def _open(self, container: InputContainer) -> None:
        import av
        from av.video.reformatter import VideoReformatter

        stream = container.streams.best("video")
        if not isinstance(stream, av.VideoStream):
            raise SourceError(f"{self._label}: no video in it")
        self._stream = stream
        codec = stream.codec_context
        if codec is None:  # for all that PyAV's types say
            raise SourceError(f"{self._label}: a video that FFmpeg has no decoder for, or a damaged one")
        self._codec = codec
        self._check_size(codec.width, codec.height)
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        self.fps = rate if 0 < rate <= 1000 else None
        self._lasts = 0.0 if self.live else self._duration(container)
        # Of an edited video more frames may be stored than are shown.
        shown = round(self._lasts * rate)
        self.promised = min(stream.frames or shown, shown) if self.fps else 0
        self._first: float | None = None  # time of the first frame, by the container
        self._until = 0.0  # how far what it holds has been read, by any of its streams
        self._broken = 0
        self._to_bgr = VideoReformatter()
        # The frames that threads have in hand together are within the limit too. What is live has no thread
        # wait for a frame that comes later.
        at_once = self._max_pixels // max(1, codec.width * codec.height)
        codec.thread_count = 1 if self.live else max(1, min(_THREADS, os.cpu_count() or 1, at_once))
        codec.thread_type = "AUTO"
        # FFmpeg counts rows as they lie in memory, a little longer; `_image` counts exactly.
        codec.options = {"max_pixels": str(self._max_pixels * 9 // 8 + (1 << 16))}

    def frames(self, go_on: Callable[[], bool]) -> Iterator[Decoded]:
        """Gives the frames; see `Decoder.frames`."""
        assert self._container is not None
        for packet in self._packets(self._container):
            self._check_bytes()
            if self._bytes is not None:
                self._bytes.since_packet = 0
            if packet is not None and packet.stream is not self._stream:
                self._note_end(packet)
                continue
            for frame in self._decode(packet):
                if not go_on():
                    return
                index = self._count(self._seconds(frame))
                if index % self._stride == 0:
                    lasts = float((frame.duration or 0) * (frame.time_base or 0))
                    yield Decoded(self._image(frame), index, self.seconds, self._stride * lasts)
            if not go_on():
                return
            if self._broken > _BROKEN:
                break
        if self._broken > 1:  # a single one is where a file was cut
            self._count_broken()

    def close(self) -> None:
        """Closes the container; may be called twice."""
        if self._container is not None:
            self._container.close()
        if self._bytes is not None:
            self._bytes.close()

    def ends_early(self) -> bool:
        """Tells whether the video has ended long before it said it would."""
        # The clock, and not the number of frames, which a variable rate and edits make a guess. Its sound may
        # be longer than its image.
        step = 1 / (self.fps or DEFAULT_FPS)
        return max(self.seconds, self._until) + 2 * step < 0.98 * self._lasts - 0.1

    def _duration(self, container: InputContainer) -> float:
        if container.format.name not in _TIMED:
            return 0.0
        stream, whole = self._stream, container.duration
        if container.format.name == "avi" and stream.frames and self.fps:
            seconds = stream.frames / self.fps  # its length is counted from what there is of it
        elif stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
        else:
            seconds = (whole or 0) / 1e6
        begins = float((stream.start_time or 0) * (stream.time_base or 0))
        if container.format.name in _FROM_ZERO:
            seconds -= max(0.0, begins)
        elif not stream.duration:  # of all streams, and this one may begin later
            seconds -= max(0.0, begins - (container.start_time or 0) / 1e6)
        return seconds if math.isfinite(seconds) and seconds > 0 else 0.0

    def _packets(self, container: InputContainer) -> Iterator[Packet[Stream] | None]:
        """Gives all packets, past damage between them; None, and the decoder's last frames, at the end."""
        import av

        while True:
            try:
                yield from container.demux()
            except (av.error.EOFError, av.error.ExitError):
                break
            except (av.error.FFmpegError, OSError, ValueError):
                self._broken += 1
                if self.live or self._broken > _BROKEN:
                    break
            else:
                return
        yield None

    def _decode(self, packet: Packet[Stream] | None) -> list[VideoFrame]:
        import av

        try:
            frames = self._codec.decode(packet)
        except av.error.EOFError:
            return []
        except (av.error.FFmpegError, OSError, ValueError) as e:
            if packet is not None:
                self._see_what_failed(packet)
            if isinstance(e, MemoryError):
                raise SourceError(f"{self._label}: decoding failed ({one_line(e, 120)})") from e
            self._broken += 1
            return []
        if frames:
            self._count_broken()
        return frames

    def _count_broken(self) -> None:
        for _ in range(self._broken):
            self.skipped += 1
            self._count(None)
        self._broken = 0

    def _check_bytes(self) -> None:
        if self._bytes is not None and self._bytes.error is not None:
            raise self._bytes.error

    def _see_what_failed(self, packet: Packet[Stream]) -> None:
        """Names what is too large; FFmpeg only leaves it out."""
        if self._codec.name in _IMAGE_CODECS and (header := read_header(bytes(packet))) is not None:
            self._check_size(header.width, header.height, header.counted)

    def _seconds(self, frame: VideoFrame) -> float | None:
        if frame.pts is None or frame.time is None:
            return None
        if self._first is None:
            self._first = frame.time
        return frame.time - self._first

    def _note_end(self, packet: Packet[Stream]) -> None:
        if packet.pts is not None and packet.time_base is not None and self._first is not None:
            self._until = max(self._until, float(packet.pts * packet.time_base) - self._first)

    def _image(self, frame: VideoFrame) -> Image:
        self._check_size(frame.width, frame.height)
        # A copy: memory that FFmpeg gets back at once is not asked of the system anew for each frame.
        image = self._to_bgr.reformat(frame, format="bgr24").to_ndarray().copy()
        turn = _TURNS.get(round(frame.rotation / 90) * 90 % 360)
        return np.asarray(image if turn is None else cv2.rotate(image, turn), np.uint8)


class _Guarded:
    """Bytes that PyAV reads: it would print an interruption of that and go on, so this keeps it for later.

    Args:
        data: Where they come from.
        label: What messages call it.
        packet_bytes: Most that are read for one packet, which FFmpeg puts together in memory; 0: any number.

    Attributes:
        error: What was raised while they were read; there are none after it.
        since_packet: How many were read since the last packet.
    """

    def __init__(self, data: ByteStream, label: str, packet_bytes: int) -> None:
        self._data = data
        self._label = label
        self._packet_bytes = packet_bytes
        self.error: BaseException | None = None
        self.since_packet = 0

    def read(self, size: int, /) -> bytes:
        if self.error is not None:
            return b""
        try:
            data = self._data.read(size)
        except BaseException as e:
            self.error = e
            return b""
        self.since_packet += len(data)
        if 0 < self._packet_bytes < self.since_packet:
            self.error = SourceError(f"{self._label}: an image of more than {self._packet_bytes >> 20} MB")
            return b""
        return data

    def close(self) -> None:
        self._data.close()

    def __getattr__(self, name: str) -> object:
        if name in ("seek", "tell", "seekable"):  # as far as the bytes have it
            return getattr(self._data, name)
        raise AttributeError(name)
