"""A camera's own protocol, from a real RTSP server: over TCP and UDP, cut off and there again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from helpers.waiting import LONG, read_until, take, wait_until

from edge_lpr.benchmarks.rtsp_films import GstServer, gst_python, write_h264
from edge_lpr.errors import BackendError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.live_source import LiveSource
from edge_lpr.io.sources import open_source

FPS = 25
try:
    gst_python()
except BackendError as lacking:
    pytest.skip(str(lacking), allow_module_level=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GstServer]:
    video = tmp_path_factory.mktemp("rtsp") / "v.h264"
    write_h264(video, [np.full((48, 64, 3), 5 * number, np.uint8) for number in range(50)], FPS)
    with GstServer({"cam": video, "other": video}, FPS) as running:
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
        with suppress(FileNotFoundError):  # closed meanwhile
            if found := re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink())):
                own.add(found[1])
    lines = Path(f"/proc/{process}/net/{kind}").read_text(encoding="ascii").splitlines()[1:]
    return sum(line.split()[9] in own for line in lines)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_frames_come_by_the_transport_that_is_asked_for(server: GstServer, transport: str) -> None:
    with opened(server.address + "cam", transport=transport) as source:
        frames = take(source, 5)
        assert source.decoder is not None
        assert (sockets(source.decoder, "udp") > 0) == (transport == "udp")
        assert sockets(source.decoder, "tcp") == 1
    assert source.live and frames[0].image.shape == (48, 64, 3) and frames[0].wall is not None


def test_a_camera_that_cuts_off_is_lost_and_comes_back_when_it_answers_again(server: GstServer) -> None:
    told: list[str] = []
    with opened(server.address + "cam", told) as source, opened(server.address + "other") as other:
        take(source, 3)
        server.tell("gone", "cam")
        read_until(source, lambda: source.losses and told)
        wait_until(lambda: source.state == "trying again")
        server.tell("back", "cam")
        take(source, 3)
        assert source.state == "open" and "trying to reach it again" in told[0]
        take(other, 1)


def test_an_address_that_is_not_served_is_refused(server: GstServer) -> None:
    told: list[str] = []
    with opened(server.address + "none", told) as source:
        read_until(source, lambda: told)
    assert "refused, wrong path, user or password, or no video there" in told[0]
