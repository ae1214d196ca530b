"""Addresses that NVIDIA's hardware decodes: the text that GStreamer gets, and a stand-in for PyNvVideoCodec.

Neither a Jetson nor NVDEC is in here. The stand-in has the calls of PyNvVideoCodec 2.2's bindings.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_lpr.cli import main
from edge_lpr.errors import MissingExtraError, SourceError
from edge_lpr.io import nvidia_decode
from edge_lpr.io.capture_decoder import CaptureDecoder
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.live_decoder import live_decoder
from edge_lpr.io.nvidia_decode import NvdecCapture, check_nvidia, gstreamer_text, is_jetson
from edge_lpr.io.targets import Target

ELEMENTS = [
    "rtspsrc",
    "application/x-rtp,media=video",
    "parsebin",
    "nvv4l2decoder",
    "nvvidconv",
    "video/x-raw,format=BGRx",
    "videoconvert",
    "video/x-raw,format=BGR",
    "appsink",
]
# GStreamer's own rules for a pipeline (gst/parse/parse.l): a value may be quoted, and a backslash takes the
# next character as it is, in quotes or not.
TOKEN = re.compile(r"""(?:\\.|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^\s"'\\])+""", re.DOTALL)


def parsed(text: str) -> tuple[list[str], dict[str, str]]:
    """Returns the elements of a pipeline, and the properties of the first."""
    elements: list[list[str]] = [[]]
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        token = TOKEN.match(text, at)
        assert token is not None, f"no pipeline: {text[at:]!r}"
        if token[0] == "!":
            elements.append([])
        else:
            elements[-1].append(token[0])
        at = token.end()
    properties = dict(word.split("=", 1) for word in elements[0][1:])
    return [element[0] for element in elements], properties


HOSTILE = [
    'rtsp://h/1" ! filesink location=/etc/cron.d/x ',
    "rtsp://h/1' ! filesink location=/tmp/x ! '",
    'rtsp://h/1\\" ! fakesink',
    "rtsp://h/1\\",
    "rtsp://h/a b ! fakesink",
    "rtsp://h/1\n!\nfilesink location=/tmp/x",
    "rtsp://u:p!w@h:554/Streaming/101?a=1&b=2",
    'rtsp://h/""\\"\\\\"',
    "rtsp://h/%22%20!%20fakesink",
    "rtsp://h/100%",
    "rtsp://h/车牌\u2028\u00a0\udc80",
    "rtsp://h/$(id)`id`${PATH};|<>{}^",
    "rtsp://[fe80::1%25eth0]/1",
    "rtsp://h/\0\x1b[2J",
]


def assert_harmless(address: str) -> None:
    text = gstreamer_text(address, 10)
    elements, properties = parsed(text)
    assert elements == ELEMENTS
    assert set(properties) == {"location", "protocols", "latency", "drop-on-latency", "tcp-timeout"}
    value = properties["location"]
    assert value[0] == value[-1] == '"' and re.fullmatch(r"[A-Za-z0-9:/?#\[\]@$&()*+,;=%._~-]+", value[1:-1])
    # The camera is asked for what was given, once it decodes what is encoded.
    assert unquote(value[1:-1], errors="surrogateescape") == unquote(address, errors="surrogateescape")


@pytest.mark.parametrize("address", HOSTILE)
def test_no_address_adds_an_element_to_the_pipeline(address: str) -> None:
    assert_harmless(address)


def test_no_drawn_address_does_either() -> None:
    draw = random.Random(0)
    alphabet = "\"\"''\\\\!!  ==\n\t%%/:@[]{}()#?&$`abcé" + chr(0x3000)
    for _ in range(2000):
        assert_harmless("rtsp://" + "".join(draw.choices(alphabet, k=draw.randrange(40))))


def test_what_the_parser_of_this_test_would_notice() -> None:
    elements, _ = parsed(gstreamer_text("rtsp://h/1", 10).replace("/1", '/1" ! filesink location="x'))
    assert elements != ELEMENTS and "filesink" in elements


def test_the_pipeline_of_a_plain_address() -> None:
    assert gstreamer_text("rtsp://admin:pw@10.0.0.5:554/1", 5).startswith(
        'rtspsrc location="rtsp://admin:pw@10.0.0.5:554/1" protocols=tcp latency=200 drop-on-latency=true '
        "tcp-timeout=5000000 ! application/x-rtp,media=video ! parsebin ! nvv4l2decoder ! "
    )


Picture = NDArray[np.uint8]


class Frame:
    """One of PyNvVideoCodec's: memory that the next call of `Decode` uses again."""

    def __init__(self, memory: Picture) -> None:
        self._memory = memory

    def framesize(self) -> int:
        return self._memory.size

    def GetPtrToPlane(self, plane: int) -> int:  # noqa: N802
        assert plane == 0
        return self._memory.ctypes.data


class Codec:
    """PyNvVideoCodec, as far as it is called. Each packet is a list of frames, or an error."""

    DisplayDecodeLatencyType = SimpleNamespace(LOW="low")

    def __init__(self, packets: list[list[Picture] | Exception], size: tuple[int, int] = (64, 48)) -> None:
        self.packets, self.size = packets, size
        self.asked: list[dict[str, Any]] = []
        self.memory: list[Picture] = []

    def CreateDemuxer(self, address: str) -> Any:  # noqa: N802
        if "nothing" in address:
            raise RuntimeError("avformat_open_input failed\nwith a second line")
        return Demuxer(self)

    def CreateDecoder(self, *, gpuid: int, codec: str, usedevicememory: bool, latency: str) -> Any:  # noqa: N802
        self.asked.append({"gpu": gpuid, "codec": codec, "device": usedevicememory, "latency": latency})
        return SimpleNamespace(
            Decode=self.decode, GetWidth=lambda: self.size[0], GetHeight=lambda: self.size[1]
        )

    def decode(self, packet: list[Picture] | Exception) -> list[Frame]:
        for old in self.memory:
            old[:] = 0
        if isinstance(packet, Exception):
            raise packet
        self.memory = [picture.copy() for picture in packet]
        return [Frame(memory) for memory in self.memory]


class Demuxer:
    def __init__(self, codec: Codec) -> None:
        self._packets = iter(codec.packets)
        self._size = codec.size

    def GetNvCodecId(self) -> str:  # noqa: N802
        return "H264"

    def Width(self) -> int:  # noqa: N802
        return self._size[0]

    def Height(self) -> int:  # noqa: N802
        return self._size[1]

    def FrameRate(self) -> float:  # noqa: N802
        return 25.0

    def __iter__(self) -> Iterator[Any]:
        return self._packets

    def __next__(self) -> Any:
        return next(self._packets)


def nv12(level: int, size: tuple[int, int] = (64, 48)) -> Picture:
    """A grey frame as NVDEC gives it."""
    width, height = size
    luma = np.full(height * width, level, np.uint8)
    return np.concatenate([luma, np.full(height * width // 2, 128, np.uint8)])


@pytest.fixture
def codec(monkeypatch: pytest.MonkeyPatch) -> Codec:
    packets = [[nv12(60)], [], RuntimeError("a damaged packet"), [nv12(120), nv12(180)], [nv12(235)]]
    made = Codec(packets)
    monkeypatch.setitem(sys.modules, "PyNvVideoCodec", made)
    return made


def test_nvdec_s_frames_come_as_opencv_s_do_past_what_is_damaged(codec: Codec) -> None:
    decoder = CaptureDecoder(NvdecCapture("rtsp://h/1"), "cam", None, CaptureOptions())
    assert decoder.live and decoder.fps == 25.0
    frames = list(decoder.frames(lambda: True))
    assert codec.asked == [{"gpu": 0, "codec": "H264", "device": False, "latency": "low"}]
    assert [frame.image.shape for frame in frames] == [(48, 64, 3)] * 4
    expected = [round((level - 16) * 255 / 219) for level in (60, 120, 180, 235)]
    for frame, level in zip(frames, expected, strict=True):
        assert abs(int(frame.image.min()) - level) <= 2 and abs(int(frame.image.max()) - level) <= 2
    assert decoder.skipped == 1
    decoder.close()
    decoder.close()
    assert not list(decoder.frames(lambda: True))


def test_frames_of_another_kind_are_refused_and_not_misread(codec: Codec) -> None:
    codec.packets = [[np.zeros(64 * 48 * 3, np.uint8)]]
    decoder = CaptureDecoder(NvdecCapture("rtsp://h/1"), "cam", None, CaptureOptions())
    with pytest.raises(SourceError, match="9216 bytes for 64×48 pixels, expected 8 bits and 4:2:0"):
        list(decoder.frames(lambda: True))


def test_what_cannot_be_opened_is_one_line(codec: Codec) -> None:
    with pytest.raises(SourceError, match="PyNvVideoCodec cannot decode it") as e:
        NvdecCapture("rtsp://h/nothing")
    assert "\n" not in str(e.value)


def test_an_opening_takes_the_decoder_that_is_asked_for(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvidia_decode, "is_jetson", lambda: False)
    options = CaptureOptions(decode="nvidia", timeout=3)
    opened = live_decoder(Target("address", "cam", address="RTSP://h/1"), options, None)
    assert opened is not None and len(list(opened.frames(lambda: True))) == 4
    pipelines: list[str] = []

    def open_pipeline(text: str) -> cv2.VideoCapture:
        pipelines.append(text)
        return cv2.VideoCapture()

    monkeypatch.setattr(nvidia_decode, "is_jetson", lambda: True)
    monkeypatch.setattr(nvidia_decode, "open_pipeline", open_pipeline)
    assert live_decoder(Target("address", "cam", address="rtsps://h/1"), options, None) is None
    assert pipelines == [gstreamer_text("rtsps://h/1", 3)]


def test_a_jetson_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = tmp_path / "model"
    monkeypatch.setattr(nvidia_decode, "_MODEL_FILE", model)
    assert not is_jetson()
    model.write_bytes(b"NVIDIA Jetson Orin Nano Developer Kit\0")
    assert is_jetson()
    model.write_bytes(b"Raspberry Pi 5 Model B\0")
    assert not is_jetson()


def test_what_is_missing_is_said_before_anything_is_opened(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nvidia_decode, "is_jetson", lambda: True)
    monkeypatch.setattr(nvidia_decode, "has_backend", lambda api: False)
    with pytest.raises(SourceError, match="no GStreamer, through which a Jetson decodes; JetPack's has it"):
        check_nvidia()
    monkeypatch.setattr(nvidia_decode, "is_jetson", lambda: False)
    monkeypatch.setitem(sys.modules, "PyNvVideoCodec", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"--decode nvidia needs the package 'PyNvVideoCodec'"):
        check_nvidia()
    assert main(["--decode", "nvidia", "rtsp://127.0.0.1:9/1"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "PyNvVideoCodec" in said
