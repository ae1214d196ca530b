"""Which names the page answers to."""

from __future__ import annotations

import socket

import pytest

from edge_lpr.serve.web.hosts import is_host, is_our_host, is_our_origin

LOCAL, EVERYWHERE = "127.0.0.1:8470", "0.0.0.0:8470"


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8470", "localhost", "LOCALHOST:8470", "localhost.", "[::1]:8470", "::1"]
)
def test_loopback_knows_itself(host: str) -> None:
    assert is_our_host(host, LOCAL, ())
    assert is_our_host(host, EVERYWHERE, ())


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "evil.example:8470", "127.0.0.1.evil.example", "127.0.0.1@evil.example"),
        *("localhost:x", "[::1]evil", "[::1", "a:b:c", "localhost.evil.example"),
    ],
)
def test_names_of_others_are_none_of_ours(host: str) -> None:
    assert not is_our_host(host, LOCAL, ("gate.example",))
    assert not is_our_host(host, EVERYWHERE, ("gate.example",))


def test_an_address_of_the_network_is_ours_where_we_listen_there() -> None:
    assert not is_our_host("192.168.1.2:8470", LOCAL, ())
    assert is_our_host("192.168.1.2:8470", EVERYWHERE, ())
    assert is_our_host(socket.gethostname(), EVERYWHERE, ())
    assert is_our_host("gate.lan:80", "gate.lan:80", ())


def test_names_of_a_proxy_are_named() -> None:
    for host in ("gate.example", "GATE.example:443", "10.1.2.3"):
        assert not is_our_host(host, LOCAL, ())
        assert is_our_host(host, LOCAL, ("gate.example", "10.1.2.3"))


def test_a_name_of_other_letters_is_known_as_browsers_send_it() -> None:
    for host in ("xn--mnchen-3ya.example", "xn--fiqs8s.example:443"):
        assert is_our_host(host, LOCAL, ("München.example:443", "中国.example"))
        assert is_our_origin(f"https://{host}", LOCAL, ("münchen.example", "中国.example"))
    for name in ("münchen.example", "gate.example:443", "[fd00::1]:443", "10.1.2.3", "gate_1.lan"):
        assert is_host(name)


@pytest.mark.parametrize(
    ("origin", "host", "expected"),
    [
        ("http://127.0.0.1:8470", "127.0.0.1:8470", True),
        ("https://gate.example", "gate.example", True),
        ("https://gate.example", "127.0.0.1:8470", True),
        ("http://127.0.0.1", "127.0.0.1:80", True),
        ("http://127.0.0.1:8471", "127.0.0.1:8470", False),
        ("http://localhost:8470", "127.0.0.1:8470", False),
        ("https://evil.example", "127.0.0.1:8470", False),
        ("null", "127.0.0.1:8470", False),
        ("ftp://127.0.0.1:8470", "127.0.0.1:8470", False),
        ("chrome-extension://127.0.0.1:8470", "127.0.0.1:8470", False),
    ],
)
def test_an_origin(origin: str, host: str, expected: bool) -> None:
    assert is_our_origin(origin, host, ("gate.example",)) is expected
