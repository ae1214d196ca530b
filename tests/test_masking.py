"""Texts that others wrote, without secrets."""

from __future__ import annotations

import base64
import io

import pytest
from helpers.camera_addresses import FORMS, Form

from edge_lpr import masking
from edge_lpr.errors import OutputError, SourceError, one_line
from edge_lpr.masking import (
    MaskedStream,
    masked,
    remember,
    remember_argument,
    remember_receiver,
    remember_secret,
)


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_known", {})
    monkeypatch.setattr(masking, "_longest_first", [])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot open rtsp://u:secret@h/1: refused", "cannot open rtsp://***@h/1: refused"),
        ("'rtsp://u:secret@h/1?x=secret', expected", "'rtsp://***@h/1?***', expected"),
        ("no folder /tmp/rtsp:/u:secret@h", "no folder /tmp/rtsp://***@h"),
        ("rtsp:u:secret@h failed", "rtsp:*** failed"),
        ("at u:secret@host/1 and more", "at *** and more"),
        ("password=secret&x=1", "password=***&x=1"),
        ("user-pw=\"sec ret\" ! x", "user-pw=*** ! x"),
        ("txSecret%3Dsecret", "txSecret%3D***"),
        ("Authorization: Basic c2VjcmV0OnNlY3JldA==", "Authorization: ***"),
        ("http://h/a?b=secret and rtsp://x:secret@h", "http://h/a?*** and rtsp://***@h"),
        ("[tcp @ 0x7f] Connection to tcp://h:1?t=0 fails", "[tcp @ 0x7f] Connection to tcp://h:1?*** fails"),
        ("[ WARN:0@1.23] global cap.cpp:138 open", "[ WARN:0@1.23] global cap.cpp:138 open"),
        ("addresses start with rtsp://, http://; see", "addresses start with rtsp://, http://; see"),
        ("2026-11-26T10:00:00 street.mp4: 3 plates", "2026-11-26T10:00:00 street.mp4: 3 plates"),
        ("a@b.mp4: no such file", "a@b.mp4: no such file"),
        ("sorted(kinds, key=rank)", "sorted(kinds, key=rank)"),
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown and masked(shown) == shown


@pytest.mark.parametrize("piece", ["x", "a:", "/a:", "http:", "a-", "=a", "token", "%25"])
def test_a_long_text_takes_no_time_of_note(piece: str) -> None:
    text = piece * (16_000 // len(piece)) + ":="
    assert len(masked(text)) <= len(text)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_what_is_remembered_is_found_in_any_spelling(form: Form) -> None:
    remember_argument(form.address)
    for spelling in sorted(form.spellings(form.secrets[0])):
        assert form.leaks(masked(f"<{spelling}>")) == [], spelling
    assert form.leaks(masked(f"{form.address!r} and {form.address}")) == []


def test_basic_credentials_are_found_by_themselves() -> None:
    remember("rtsp://admin:p%40ssword@h/1")
    coded = base64.b64encode(b"admin:p@ssword").decode()
    assert masked(f"sent {coded} to it") in ("sent *** to it", "sent ***= to it", "sent ***== to it")


def test_a_remembered_address_is_shown_as_addresses_are() -> None:
    remember("rtsp://u:se cret@h/1?x")
    assert masked("opening rtsp://u:se cret@h/1?x now") == "opening rtsp://***@h/1?*** now"
    remember_argument("--csv=rtsp://u:0ther@h/2")
    assert masked("0ther") == "***" and masked("rtsp://u:0ther@h/2") == "rtsp://***@h/2"


def test_what_shows_nothing_secret_is_not_remembered() -> None:
    remember("rtsp://10.0.0.5/main/live")
    remember_argument("street.mp4")
    remember_secret("abc")
    assert masking._known == {}


def test_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_MOST", 50)
    for number in range(200):
        remember(f"rtsp://h/{number}?token=t0ken{number:03}")
    assert len(masking._known) == 50 and masked("t0ken199") == "***" and masked("t0ken001") == "t0ken001"


def test_errors_hold_no_secret() -> None:
    error = OutputError("rtsp:/u:secret@h/o.csv: cannot be written, there is no folder rtsp:/u:secret@h")
    assert "secret" not in str(error) + repr(error) and isinstance(error.args[0], str)
    assert str(SourceError()) == ""
    assert one_line(RuntimeError("at rtsp://u:secret@h\nline")) == "at rtsp://***@h line"


def test_a_masked_stream_is_the_stream_but_for_secrets() -> None:
    inner = io.StringIO()
    stream = MaskedStream(inner)
    assert stream.write("rtsp://u:secret@h\n") == 18
    stream.writelines(["a", "pwd=secret\n"])
    print("u:secret@h", file=stream)
    assert inner.getvalue() == "rtsp://***@h\na" + "pwd=***\n***\n" and not stream.isatty()


def test_of_a_webhook_s_address_the_host_alone_is_shown() -> None:
    remember_receiver("https://chat.example/hooks/42/aB-9_xyz")
    assert masked("POST HTTPS://chat.example/hooks/42/aB-9_xyz: 500") == "POST https://chat.example/***: 500"
    for slip in (
        "http://",
        "https://[::1",
        "chat.example/hooks",
        "https://chat.example",
        "https://chat.example/",
    ):
        remember_receiver(slip)
    text = "https://other.example/a, chat.example/hooks of https://chat.example/"
    assert masked(text) == text
