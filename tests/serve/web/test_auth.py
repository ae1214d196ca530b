"""Passwords and addresses."""

from __future__ import annotations

import base64
import hashlib

import pytest

from edge_lpr.errors import InputError, SettingError
from edge_lpr.serve.web.auth import ScryptHash, host_and_port, is_loopback

SECRET = "open sesame 1234"


def test_a_hash_knows_its_secret_alone() -> None:
    made = ScryptHash.of(SECRET)
    again = ScryptHash.parse(str(made))
    assert again == made
    assert again.matches(SECRET)
    assert not again.matches(SECRET + " ")
    assert not again.matches("")
    assert not again.matches("x" * 5000)
    assert str(ScryptHash.of(SECRET)) != str(made), "the salt is drawn anew"
    assert SECRET not in repr(made)


def test_the_digest_is_scrypts() -> None:
    name, n, r, p, salt, digest = str(ScryptHash.of(SECRET)).split("$")
    assert (name, n, r, p) == ("scrypt", "32768", "8", "3")
    expected = hashlib.scrypt(
        SECRET.encode(), salt=base64.b64decode(salt), n=32768, r=8, p=3, maxmem=64 << 20, dklen=32
    )
    assert base64.b64decode(digest) == expected


def test_what_is_no_hash_is_refused_without_being_shown() -> None:
    good = str(ScryptHash(2**14, 8, 1, b"s" * 16, b"d" * 32))
    assert ScryptHash.parse(good).n == 2**14
    name, n, r, p, salt, digest = good.split("$")
    for text in (
        "",
        "secret-in-plain",
        "$".join(("bcrypt", n, r, p, salt, digest)),
        "$".join((name, "16385", r, p, salt, digest)),
        "$".join((name, "2", r, p, salt, digest)),
        "$".join((name, str(2**20), "32", p, salt, digest)),
        "$".join((name, str(2**40), r, p, salt, digest)),
        "$".join((name, n, "0", p, salt, digest)),
        "$".join((name, n, r, "99", salt, digest)),
        "$".join((name, n, r, p, "?", digest)),
        "$".join((name, n, r, p, salt, "ZA==")),
    ):
        with pytest.raises(InputError, match="edge-lpr serve --hash") as raised:
            ScryptHash.parse(text)
        assert "plain" not in str(raised.value)


def test_a_secret_has_a_length() -> None:
    for secret in ("", "1234567", "x" * 1025, "粤" * 500):
        with pytest.raises(SettingError, match="expected 8 at least and 1024 bytes at most"):
            ScryptHash.of(secret)


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("127.0.0.1:8470", True),
        ("127.8.9.10:1", True),
        ("[::1]:8470", True),
        ("localhost:8470", True),
        ("0.0.0.0:8470", False),
        (":8470", False),
        ("[::]:8470", False),
        ("192.168.1.2:80", False),
        ("gate.example:80", False),
        ("127.0.0.1.example:80", False),
    ],
)
def test_loopback(listen: str, expected: bool) -> None:
    assert is_loopback(listen) is expected


@pytest.mark.parametrize(
    "listen", ["", "8470", "127.0.0.1", "::1:80", "a:b", "h:99999", "http://h:1", "[h]:²", "u@h:1"]
)
def test_an_address_needs_a_port(listen: str) -> None:
    with pytest.raises(SettingError, match="expected an address and a port"):
        host_and_port(listen)


def test_host_and_port() -> None:
    assert host_and_port("[::1]:8470") == ("::1", 8470)
    assert host_and_port(":1") == ("0.0.0.0", 1)
