"""Signatures as minisign makes and takes them."""

from __future__ import annotations

import base64
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="needs what the extra 'sign' installs")

from edge_lpr.errors import EdgeLprError, OutputError, SignatureError
from edge_lpr.signatures import SecretKey, drop_signature, load_public_key, new_key, signature_path

# Made by minisign itself, of a file that holds "test"; from the tests of its author's Rust crate.
PUBLISHED_KEY = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
PUBLISHED = """untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1633700835\tfile:test\tprehashed
wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==
"""
# `minisign -G -W` of version 0.11.
MINISIGN_SECRET = """untrusted comment: minisign encrypted secret key
RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIyXEaOZ8VFMoTYzk8M16POGTGijvnD/+LcumTJ0MEyAgxlNJ\
ozwf0pR1AX04oC8q070G57mUPCj7AStxi0r4xxtfeTAHZKIWAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
"""
MINISIGN_PUBLIC = "RWQjJcRo5nxUU5R1AX04oC8q070G57mUPCj7AStxi0r4xxtfeTAHZKIW"


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, SecretKey]:
    path = tmp_path / "bundle.json"
    path.write_bytes(b'{"a": 1}')
    key = new_key(tmp_path / "release.key")
    assert key.sign(path) == signature_path(path) == tmp_path / "bundle.json.minisig"
    return path, key


def check(path: Path, key: str | Path) -> None:
    public = load_public_key(key)
    assert public is not None
    public.check(path, path.read_bytes())


def test_a_signature_of_minisign_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "test"
    path.write_bytes(b"test")
    signature_path(path).write_text(PUBLISHED, encoding="utf-8")
    check(path, PUBLISHED_KEY)
    for line, there, here in ((1, "z7Srl", "z7Srm"), (2, "file:test", "file:best"), (3, "wLMDj", "wLMDk")):
        lines = PUBLISHED.splitlines()
        lines[line] = lines[line].replace(there, here)
        assert lines != PUBLISHED.splitlines()
        signature_path(path).write_text("\n".join(lines), encoding="utf-8")
        with pytest.raises(SignatureError, match="not what was signed"):
            check(path, PUBLISHED_KEY)


def test_a_secret_key_of_minisign_signs(tmp_path: Path) -> None:
    secret, path = tmp_path / "m.key", tmp_path / "f"
    secret.write_text(MINISIGN_SECRET, encoding="utf-8")
    path.write_bytes(b"x")
    SecretKey.load(secret).sign(path)
    check(path, MINISIGN_PUBLIC)


def test_minisign_takes_ours(signed: tuple[Path, SecretKey], tmp_path: Path) -> None:
    program = shutil.which("minisign")
    if program is None:
        pytest.skip("needs the program minisign")
    path, key = signed
    verify = [program, "-V", "-m", str(path), "-P", str(key.public)]
    assert subprocess.run(verify, capture_output=True, check=False).returncode == 0
    secret = [program, "-S", "-s", str(tmp_path / "release.key"), "-m", str(path)]
    assert subprocess.run(secret, capture_output=True, check=False, input=b"\n").returncode == 0
    check(path, str(key.public))


def test_keys_are_files_or_themselves(signed: tuple[Path, SecretKey], tmp_path: Path) -> None:
    path, key = signed
    check(path, tmp_path / "release.pub")
    check(path, str(key.public))
    loaded = SecretKey.load(tmp_path / "release.key")
    assert loaded == key and repr(key.seed) not in repr(key)
    assert stat.S_IMODE((tmp_path / "release.key").stat().st_mode) == 0o600
    assert load_public_key(None) is None


@pytest.mark.parametrize("change", [b'{"a": 2}', b"", b'{"a": 1} '])
def test_a_change_is_found(change: bytes, signed: tuple[Path, SecretKey]) -> None:
    path, key = signed
    path.write_bytes(change)
    with pytest.raises(SignatureError, match=r"bundle.json: not what was signed: it was changed, or the"):
        check(path, str(key.public))


def test_another_key_is_named(signed: tuple[Path, SecretKey], tmp_path: Path) -> None:
    path, key = signed
    other = new_key(tmp_path / "other.key")
    number = key.public.id[::-1].hex().upper()
    with pytest.raises(SignatureError, match=f"made with the key {number}, expected"):
        check(path, str(other.public))
    # A signature that claims the right key, of somebody who has not got it.
    SecretKey(type(key.public)(key.public.id, other.public.data), other.seed).sign(path)
    with pytest.raises(SignatureError, match="or the signature is forged"):
        check(path, str(key.public))


@pytest.mark.parametrize(
    "text",
    [
        "", "\n\n\n\n", "untrusted comment: x\n", "a\nb\ntrusted comment: c\nd\n",
        PUBLISHED.replace("trusted comment: t", "trusted: t"), PUBLISHED.replace("RUQ", "RUU"),
        PUBLISHED.rsplit("\n", 2)[0], "\xff" * 3000,
    ],
)  # fmt: skip
def test_a_damaged_signature_is_named(text: str, signed: tuple[Path, SecretKey]) -> None:
    path, key = signed
    signature_path(path).write_text(text, encoding="utf-8")
    with pytest.raises(SignatureError, match=r"bundle.json.minisig: (damaged|larger than)"):
        check(path, str(key.public))


def test_what_is_not_signed_says_what_to_type(signed: tuple[Path, SecretKey]) -> None:
    path, key = signed
    drop_signature(path)
    drop_signature(path)
    said = rf"not signed \(no bundle.json.minisig beside it\); edge-lpr sign {path.parent} --key KEY"
    with pytest.raises(SignatureError, match=said):
        check(path, str(key.public))


@pytest.mark.parametrize("text", ["", "RW", "x" * 56, "RW" + "!" * 54, PUBLISHED_KEY[:-4], PUBLISHED])
def test_what_is_no_public_key_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "k.pub"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SignatureError, match=r"k.pub: not a public key; expected the .pub of edge-lpr sign"):
        load_public_key(path)


def test_what_is_no_secret_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "k.key"
    data = bytearray(base64.b64decode(MINISIGN_SECRET.splitlines()[-1]))
    for at, value, said in (
        (2, ord("S"), "has a password"),
        (70, 0, "two halves"),
        (0, 0, "not a secret key"),
    ):
        changed = bytearray(data)
        changed[at] = value
        path.write_text(f"x\n{base64.b64encode(changed).decode()}\n", encoding="utf-8")
        with pytest.raises(SignatureError, match=said):
            SecretKey.load(path)


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.pub").touch()
    with pytest.raises(OutputError, match=r"a.pub: there already; a key is never replaced"):
        new_key(tmp_path / "a.key")
    with pytest.raises(EdgeLprError, match="cannot be written, there is no folder"):
        new_key(tmp_path / "no" / "b.key")
