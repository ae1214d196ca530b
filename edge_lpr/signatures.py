"""Signatures in minisign's format: Ed25519 over a file's BLAKE2b-512, beside the file as NAME.minisig.

What is signed is a manifest (`bundle.json`, or an engine's), which holds the sha256 of every model file; so
one signature covers a bundle. The formats are those of minisign (https://jedisct1.github.io/minisign/):
keys and signatures of either program are taken by the other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge_lpr.errors import MissingExtraError, OutputError, SignatureError
from edge_lpr.io.atomic_io import write_bytes
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.out_file import output_error

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = ["PublicKey", "SecretKey", "drop_signature", "load_public_key", "new_key", "signature_path"]

SUFFIX = ".minisig"
_MAX_BYTES = 4096
_KEY, _HASHED, _WHOLE = b"Ed", b"ED", b"Ed"  # a key; a signature of a file's digest, or of the file itself
_NO_PASSWORD = b"\0\0"
_HEAD = _KEY + _NO_PASSWORD + b"B2" + bytes(32 + 8 + 8)  # of a secret key: no salt, no limits of a password
_TRUSTED = "trusted comment: "


@dataclass(frozen=True)
class PublicKey:
    """What signatures are checked with.

    Attributes:
        id: Its number, 8 bytes; a signature names it.
        data: The Ed25519 key, 32 bytes.
    """

    id: bytes
    data: bytes

    def __str__(self) -> str:
        return base64.b64encode(_KEY + self.id + self.data).decode()

    def check(self, path: Path, data: bytes) -> None:
        """Checks the signature of a file, before anything reads what is in it.

        Args:
            path: The file; its signature lies beside it.
            data: The file's bytes.

        Raises:
            MissingExtraError: The extra `sign` is not installed.
            SignatureError: It is not signed, by another key, or not as it is.
        """
        signature = signature_path(path)
        missing = f"{path}: not signed (no {signature.name} beside it); edge-lpr sign {path.parent} --key KEY"
        text = read_bounded(signature, _MAX_BYTES, "a signature", SignatureError, missing=missing)
        kind, key_id, signed, comment, over_both = _parse_signature(signature, text)
        if key_id != self.id:
            raise SignatureError(
                f"{signature}: made with the key {_number(key_id)}, expected {_number(self.id)}; take the "
                "file from whom you trust, or give that key to --verify-key"
            )
        content = hashlib.blake2b(data).digest() if kind == _HASHED else data
        if not (self._fits(signed, content) and self._fits(over_both, signed + comment)):
            raise SignatureError(
                f"{path}: not what was signed: it was changed, or the signature is forged; take both from "
                "whom you trust"
            )

    def _fits(self, signature: bytes, content: bytes) -> bool:
        key = _library("checking signatures")[1].from_public_bytes(self.data)
        from cryptography.exceptions import InvalidSignature

        try:
            key.verify(signature, content)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class SecretKey:
    """What signatures are made with; see `new_key`.

    Attributes:
        public: The key that checks them.
        seed: The Ed25519 key's seed, 32 bytes.
    """

    public: PublicKey
    seed: bytes = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> SecretKey:
        """Reads a secret key, of `new_key` or of `minisign -G -W`.

        Raises:
            SignatureError: It is none, or has a password.
        """
        expected = "a secret key of edge-lpr sign --new-key, or of minisign -G -W"
        data = _decode(read_bounded(path, _MAX_BYTES, expected, SignatureError))
        if len(data) != 158 or data[:2] != _KEY:
            raise SignatureError(f"{path}: not a secret key; expected {expected}")
        if data[2:4] != _NO_PASSWORD:
            raise SignatureError(
                f"{path}: has a password, which minisign alone asks for: minisign -Sm MANIFEST -s {path}"
            )
        number, seed, public = data[54:62], data[62:94], data[94:126]
        if _library("signing")[0].from_private_bytes(seed).public_key().public_bytes_raw() != public:
            raise SignatureError(f"{path}: damaged; its two halves do not belong together")
        return cls(PublicKey(number, public), seed)

    def sign(self, path: Path) -> Path:
        """Signs a file as it is.

        Returns:
            The signature's file.

        Raises:
            SignatureError: It cannot be read.
            OutputError: The signature cannot be written.
        """
        data = read_bounded(path, 64 << 20, "a manifest", SignatureError)
        key = _library("signing")[0].from_private_bytes(self.seed)
        signed = key.sign(hashlib.blake2b(data).digest())
        comment = f"timestamp:{int(time.time())}\tfile:{path.name}\thashed"
        lines = [
            "untrusted comment: signature of edge-lpr sign",
            base64.b64encode(_HASHED + self.public.id + signed).decode(),
            f"{_TRUSTED}{comment}",
            base64.b64encode(key.sign(signed + comment.encode())).decode(),
        ]
        signature = signature_path(path)
        write_bytes(signature, ("\n".join(lines) + "\n").encode())
        return signature


def signature_path(path: Path) -> Path:
    """Returns where the signature of a file lies."""
    return path.with_name(path.name + SUFFIX)


def drop_signature(path: Path) -> None:
    """Removes the signature of a file that is about to be another one; there may be none.

    Raises:
        OutputError: It cannot be removed.
    """
    try:
        signature_path(path).unlink(missing_ok=True)
    except OSError as e:
        raise output_error(signature_path(path), e) from e


def load_public_key(key: str | Path | None) -> PublicKey | None:
    """Reads a public key.

    Args:
        key: Its file, or the key itself ("RW…"); None gives None.

    Raises:
        MissingExtraError: The extra `sign` is not installed.
        SignatureError: It is none.
    """
    if key is None:
        return None
    _library("checking signatures")
    text = str(key).encode()
    if not (len(text) == 56 and text.startswith(b"RW")):
        text = read_bounded(key, _MAX_BYTES, "a public key", SignatureError)
    data = _decode(text)
    if len(data) != 42 or data[:2] != _KEY:
        raise SignatureError(f"{key}: not a public key; expected the .pub of edge-lpr sign --new-key, or RW…")
    return PublicKey(data[2:10], data[10:])


def new_key(path: Path) -> SecretKey:
    """Makes a key pair: the secret key in a file that its owner alone may read, the public one beside it.

    Args:
        path: The secret key's file, which may not be there yet; the public one has the suffix ".pub".

    Raises:
        MissingExtraError: The extra `sign` is not installed.
        OutputError: There is such a file, or it cannot be written.
    """
    key = _library("signing")[0].generate()
    seed, public = key.private_bytes_raw(), key.public_key().public_bytes_raw()
    made = SecretKey(PublicKey(os.urandom(8), public), seed)
    beside = path.with_suffix(".pub")
    for taken in (path, beside):
        if taken.exists():
            raise OutputError(f"{taken}: there already; a key is never replaced, give another name")
    secret = base64.b64encode(_HEAD + made.public.id + seed + public + bytes(32)).decode()
    try:
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii"
        ) as file:
            file.write(f"untrusted comment: secret key of edge-lpr sign\n{secret}\n")
    except OSError as e:
        raise output_error(path, e) from e
    write_bytes(beside, f"untrusted comment: public key {_number(made.public.id)}\n{made.public}\n".encode())
    return made


def _library(purpose: str) -> tuple[type[Ed25519PrivateKey], type[Ed25519PublicKey]]:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    except ImportError as e:
        raise MissingExtraError("cryptography", "sign", purpose) from e
    return Ed25519PrivateKey, Ed25519PublicKey


def _parse_signature(path: Path, text: bytes) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """Returns the kind, the key's number, the signature, the trusted comment, and the signature of both."""
    lines = text.decode("utf-8", "replace").splitlines()
    if len(lines) >= 4 and lines[2].startswith(_TRUSTED):
        first, both = _decode(lines[1].encode()), _decode(lines[3].encode())
        if len(first) == 74 and first[:2] in (_HASHED, _WHOLE) and len(both) == 64:
            return first[:2], first[2:10], first[10:], lines[2].removeprefix(_TRUSTED).encode(), both
    raise SignatureError(f"{path}: damaged; expected a signature of edge-lpr sign or minisign")


def _decode(text: bytes) -> bytes:
    """Decodes the last line; empty where it is no Base64."""
    try:
        return base64.b64decode(text.strip().splitlines()[-1], validate=True)
    except (binascii.Error, IndexError):
        return b""


def _number(key_id: bytes) -> str:
    """Writes a key's number as minisign does."""
    return key_id[::-1].hex().upper()
