"""Passwords, tokens and addresses: who may look, and from where."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import secrets
import threading
from dataclasses import dataclass

from edge_lpr.counting import counted
from edge_lpr.errors import InputError, SettingError

__all__ = ["LONGEST", "SHORTEST", "ScryptHash", "host_and_port", "is_loopback"]

# OWASP's Password Storage Cheat Sheet, scrypt, the setting of 32 MiB: so much a Jetson has to spare.
_N, _R, _P = 2**15, 8, 3
_SALT, _LENGTH = 16, 32  # bytes; RFC 7914 and NIST SP 800-132 ask for 16 of salt
_MOST_MEMORY = 256 << 20  # bytes that a hash of the configuration may ask for
SHORTEST, LONGEST = 8, 1024
"""Characters of a password or token (NIST SP 800-63B asks for 8 at least), and bytes at most."""
_ONE_AT_A_TIME = threading.Lock()  # many sign-ins at once take no more memory than one


@dataclass(frozen=True, repr=False)
class ScryptHash:
    """A secret's hash, `scrypt$n$r$p$salt$hash`, the last two in Base64.

    Attributes:
        n: Cost, a power of two.
        r: Block size.
        p: Parallelization.
        salt: Random bytes.
        digest: What scrypt gives.
    """

    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, secret: str) -> ScryptHash:
        """Hashes a new password or token.

        Raises:
            SettingError: It is too short or too long.
        """
        if len(secret) < SHORTEST or len(secret.encode()) > LONGEST:
            raise SettingError(
                f"a password or token of {counted(len(secret), 'characters')}, "
                f"expected {SHORTEST} at least and {LONGEST} bytes at most"
            )
        salt = secrets.token_bytes(_SALT)
        return cls(_N, _R, _P, salt, _scrypt(secret, _N, _R, _P, salt, _LENGTH))

    @classmethod
    def parse(cls, text: str) -> ScryptHash:
        """Reads a hash as the configuration has it.

        Raises:
            InputError: It is none.
        """
        try:
            name, n, r, p, salt, digest = text.split("$")
            found = cls(
                int(n),
                int(r),
                int(p),
                base64.b64decode(salt, validate=True),
                base64.b64decode(digest, validate=True),
            )
        except (ValueError, binascii.Error):
            raise InputError(_EXPECTED) from None
        fits = (
            name == "scrypt"
            and 2**14 <= found.n <= 2**20
            and found.n & (found.n - 1) == 0
            and 1 <= found.r <= 32
            and 1 <= found.p <= 16
            and 128 * found.n * found.r <= _MOST_MEMORY
            and 8 <= len(found.salt) <= 64
            and 16 <= len(found.digest) <= 64
        )
        if not fits:
            raise InputError(_EXPECTED)
        return found

    def matches(self, secret: str) -> bool:
        """Tells whether a secret is the one that was hashed; takes about a tenth of a second."""
        if len(secret.encode("utf-8", "replace")) > LONGEST:
            return False
        given = _scrypt(secret, self.n, self.r, self.p, self.salt, len(self.digest))
        return hmac.compare_digest(given, self.digest)

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"scrypt${self.n}${self.r}${self.p}${salt}${digest}"


_EXPECTED = "no hash of a password, expected what edge-lpr serve --hash prints: scrypt$n$r$p$salt$hash"


def host_and_port(listen: str) -> tuple[str, int]:
    """Splits an address to listen at: "127.0.0.1:8470", "[::1]:8470", ":8470" for all of the machine's.

    Raises:
        SettingError: It has no port, or is no address.
    """
    host, colon, port = listen.rpartition(":")
    is_six = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if is_six else host
    good = bool(colon) and port.isascii() and port.isdigit() and 0 <= int(port) <= 65_535
    if not good or (":" in bare) != is_six or any(c.isspace() or c in "/@?#" for c in bare):
        raise SettingError(f'listen = "{listen}": expected an address and a port, as "127.0.0.1:8470"')
    return bare or "0.0.0.0", int(port)


def is_loopback(listen: str) -> bool:
    """Tells whether an address to listen at is reached from this machine alone.

    A name other than localhost is not asked of DNS: what it says may change.

    Raises:
        SettingError: See `host_and_port`.
    """
    host, _ = host_and_port(listen)
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _scrypt(secret: str, n: int, r: int, p: int, salt: bytes, length: int) -> bytes:
    memory = 128 * r * (n + p + 2) + (1 << 20)
    data = secret.encode("utf-8", "replace")
    with _ONE_AT_A_TIME:
        return hashlib.scrypt(data, salt=salt, n=n, r=r, p=p, maxmem=memory, dklen=length)
