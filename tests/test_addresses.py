"""What is shown of an address."""

from __future__ import annotations

import pytest
from helpers.camera_addresses import FORMS, Form

from edge_lpr.addresses import (
    hidden_parts,
    is_address,
    may_hold_secret,
    resembles_address,
    shown_address,
    shown_source,
)
from edge_lpr.masking import masked


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://10.0.0.5:554/Streaming/Channels/101", "rtsp://10.0.0.5:554/Streaming/Channels/101"),
        ("rtsp://admin:secret@10.0.0.5:554/1", "rtsp://***@10.0.0.5:554/1"),
        ("rtsp://TOKEN@host/1", "rtsp://***@host/1"),
        ("rtsp://:secret@host/1", "rtsp://***@host/1"),
        ("rtsp://u:p w@host/1", "rtsp://***@host/1"),
        ("rtsp://u:p@ss/word@host/1", "rtsp://***"),
        ("rtsp://host/v?q=a@b", "rtsp://***"),
        ("rtsp://u:p@[fe80::1%25eth0]:554/1", "rtsp://***@[fe80::1%25eth0]:554/1"),
        ("rtsp://h/h264Preview_01_main", "rtsp://h/h264Preview_01_main"),
        ("rtsp://h/axis-media/media.amp?x", "rtsp://h/axis-media/media.amp?***"),
        ("rtsp://h/user=admin_password=x_channel=1.sdp?real_stream", "rtsp://h/user=***"),
        ("rtsp://h/live/550e8400-e29b-41d4-a716-446655440000/1", "rtsp://h/live/***/1"),
        ("rtmp://h/live/key", "rtmp://h/live/***"),
        ("rtmp://h/key", "rtmp://h/***"),
        ("rtmp://h", "rtmp://h"),
        ("udp://@239.0.0.1:1234", "udp://@239.0.0.1:1234"),
        ("http://h/" + "long/" * 40, "http://h/" + "long/" * 23 + "long***"),
    ],
)
def test_what_can_be_no_secret_is_shown(address: str, shown: str) -> None:
    assert shown_address(address) == shown
    # What is shown passes through further messages unchanged.
    assert shown_address(shown) == shown and masked(f"{shown}: lost") == f"{shown}: lost"


def test_of_a_pipeline_elements_and_hosts_are_shown() -> None:
    pipeline = (
        'rtspsrc location="rtsp://u:se cret@h/1" user-pw="a ! secret" latency=0 ! video/x-raw,format=BGR '
        "! se/cret@x ! appsink sync=false"
    )
    shown = "rtspsrc location=rtsp://***@h/1 user-pw=*** latency=*** ! video/x-raw ! *** ! appsink sync=***"
    assert shown_source(pipeline) == shown


@pytest.mark.parametrize(
    "text",
    ["street.mp4", "/home/me@work/a.mp4", "./a@b.mp4", "C:\\me@x\\a.mp4", "~/x@y", "photos/*.jpg", "@cams"],
)
def test_paths_are_shown(text: str) -> None:
    assert shown_source(text) == text and not resembles_address(text) and not may_hold_secret(text)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_of_no_form_a_secret_is_shown(form: Form) -> None:
    shown = shown_source(form.address)
    assert form.leaks(shown) == [] and shown_source(shown) == shown
    assert form.slip or is_address(form.address)


def test_short_and_plain_values_do_not_hide_words() -> None:
    assert list(hidden_parts("rtsp://h/cam?channel=1&stream=main&unicast=true")) == [
        "channel=1&stream=main&unicast=true"
    ]
    assert {"x9", "t0psecret"} <= set(hidden_parts("rtsp://h/cam?channel=1&pwd=x9&what=t0psecret"))
