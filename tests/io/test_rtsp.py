"""A camera's own protocol, from a real RTSP server: over TCP and UDP, cut off and there again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.rtsp_server import Rtsp, as_h264, missing
from helpers.videos import write_video
from helpers.waiting import LONG, read_until, take, wait_until

from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.live_source import LiveSource
from edge_lpr.io.sources import open_source

if lacking := missing():
    pytest.skip(lacking, allow_module_level=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rtsp]:
    folder = tmp_path_factory.mktemp("rtsp")
    video = as_h264(write_video(folder / "v.mp4"), folder / "v.h264")
    with Rtsp(video, "cam", "other") as running:
        yield running


def opened(address: str, told: list[str] | None = None, **options: object) -> LiveSource:
    wanted = CaptureOptions(timeout=LONG, max_pause=0.2).changed(options)
    source = open_source(address, wanted, [].append if told is None else told.append)
    assert isinstance(source, LiveSource)
    return source


def sockets(process: int, kind: str) -> int:
    """How many sockets of a kind, "udp" or "tcp", a process has open."""
    own = set()
    for link in Path(f"/proc/{process}/fd").iterdir():
        if found := re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink())):
            own.add(found[1])
    lines = Path(f"/proc/{process}/net/{kind}").read_text(encoding="ascii").splitlines()[1:]
    return sum(line.split()[9] in own for line in lines)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_frames_come_by_the_transport_that_is_asked_for(server: Rtsp, transport: str) -> None:
    with opened(server.address("cam"), transport=transport) as source:
        frames = take(source, 5)
        assert source.decoder is not None
        assert (sockets(source.decoder, "udp") > 0) == (transport == "udp")
        assert sockets(source.decoder, "tcp") == 1
    assert source.live and frames[0].image.shape == (48, 64, 3) and frames[0].wall is not None


def test_a_camera_that_cuts_off_is_lost_and_comes_back_when_it_answers_again(server: Rtsp) -> None:
    told: list[str] = []
    with opened(server.address("cam"), told) as source, opened(server.address("other")) as other:
        take(source, 3)
        server.tell("gone", "cam")
        read_until(source, lambda: source.losses and told)
        wait_until(lambda: source.state == "trying again")
        server.tell("back", "cam")
        take(source, 3)
        assert source.state == "open" and "trying to reach it again" in told[0]
        take(other, 1)


def test_an_address_that_is_not_served_is_refused(server: Rtsp) -> None:
    told: list[str] = []
    with opened(server.address("none"), told) as source:
        read_until(source, lambda: told)
    assert "refused, wrong path, user or password, or no video there" in told[0]
