"""What is shown of an address: scheme, host and port, and of the path what can be no secret.

An address of a camera holds its password in more places than one: before the host, in the query, in the path
(XiongMai's `user=…_password=…`, a stream's key, a signed token). So what is shown is what is known to be
harmless, and not what is left when known secrets are taken out.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, unquote

__all__ = [
    "HIDDEN",
    "SCHEMES",
    "SECRET_NAMES",
    "hidden_parts",
    "is_address",
    "is_pipeline",
    "may_hold_secret",
    "resembles_address",
    "shown_address",
    "shown_receiver",
    "shown_source",
    "spellings",
]

HIDDEN = "***"
"""Stands for whatever is not shown."""
# A protocol that is not named here (concat:, data:, file: …) would let an address reach local files.
SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "srt", "udp", "rtp", "tcp")
"""What addresses begin with, before "://"."""
SECRET_NAMES = (
    r"pass|pwd|psw|token|secret|auth|signature|\bsign|cred|login|hmac|streamid|playpath"
    r"|(?:api|access|stream|private)[_-]?key|user-[ip]|proxy-[ip]"
)
"""What the names of secret values begin with, or hold, as a regular expression."""

_ADDRESS = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST = re.compile(r"(?:[\w.-]+|\[[\w:.%-]+\])(?::[0-9]{1,5})?", re.ASCII)
# What begins a query, a fragment, a value or credentials inside a path, encoded once or more often too.
_PATH_END = re.compile(r"[?#=&;:@\s\\]|%(?:25)*(?:3f|23|3d|26|3b|3a|40)", re.IGNORECASE)
# Parts of a path that a program made up: a token, a digest, a UUID. No camera's own path has such a part.
_RANDOM = re.compile(
    r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{16,}|[A-Za-z0-9]{32,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.IGNORECASE,
)
_SLIP = re.compile(rf"\s*[\"']?({'|'.join(SCHEMES)})(?:\s*[:;/\\]|\s|%)", re.IGNORECASE)
_LOGIN = re.compile(r"[^/@]:[^@]*@|@[0-9.]{7,}|@[\w.-]+:[0-9]|[?&][\w.-]+=", re.ASCII)
_PATH = re.compile(r"[/~.$]|[A-Za-z]:[\\/]")
_SENSITIVE = re.compile(rf"(?:{SECRET_NAMES})[\w.-]*\s*=", re.IGNORECASE)
_PROPERTY = re.compile(r"([\w-]+)\s*=\s*(\"[^\"]*\"|'[^']*'|\S+)")
_ELEMENT = re.compile(r"[a-z][\w-]*(?:/[\w-]+)?(?=[\s,]|$)", re.ASCII)
_PATH_LIMIT = 120  # characters of a path that are shown


def is_address(text: str) -> bool:
    """Tells whether a text is an address, of whatever scheme."""
    return _ADDRESS.match(text) is not None


def is_pipeline(text: str) -> bool:
    """Tells whether a text is a GStreamer pipeline."""
    return " ! " in text


def resembles_address(text: str) -> bool:
    """Tells whether a text is an address, or looks like one: "rtsp:/u:p@h", "u:p@host", "host/v?pwd=p"."""
    return "://" in text or bool(_SLIP.match(text)) or bool(not _PATH.match(text) and _LOGIN.search(text))


def may_hold_secret(text: str) -> bool:
    """Tells whether a text that names no file may be a part of an address.

    The shell cuts an address in two at a blank or "&" that is not quoted. So any text with an "@" may, unless
    it begins as a path does, or is an "@" and a file.
    """
    if resembles_address(text):
        return True
    if text.startswith("@") and "@" not in text[1:]:
        return False
    return not _PATH.match(text.removeprefix("@")) and ("@" in text or bool(_SENSITIVE.search(text)))


def shown_source(text: str) -> str:
    """Returns what is shown of anything given as a source: an address, a slip of one, a pipeline, a path."""
    if is_pipeline(text):
        return _shown_pipeline(text)
    if is_address(text):
        return shown_address(text)
    if not may_hold_secret(text):
        return text
    slip = _SLIP.match(text)
    return f"{slip[1]}:{HIDDEN}" if slip else HIDDEN


def shown_address(address: str) -> str:
    """Returns what is shown of an address: "rtsp://***@10.0.0.5:554/cam/realmonitor?***".

    Args:
        address: The address, with its "://". What this returned is returned as it is.
    """
    scheme, user, host, path = _parts(address)
    if not host:
        return f"{scheme}://{HIDDEN}"
    login = "" if user is None else f"{HIDDEN}@" if user else "@"
    return f"{scheme}://{login}{host}{_shown_path(path, scheme)}"


def shown_receiver(address: str) -> str:
    """Returns what is shown of a webhook's address: scheme, host and port.

    Whoever knows the path of one may send to it: "https://chat.example/hooks/KEY".
    """
    if not is_address(address):
        return HIDDEN
    scheme, _, host, path = _parts(address)
    rest = f"/{HIDDEN}" if path.strip("/") else ""
    return f"{scheme}://{host}{rest}" if host else f"{scheme}://{HIDDEN}"


def hidden_parts(address: str) -> Iterator[str]:
    """Yields what `shown_address` does not show of an address or pipeline, as it stands there.

    Short values, and lower-case words, are left out where their keys are not known to be secret: "channel=1"
    and "stream=main" would hide much else.
    """
    if is_pipeline(address):
        yield from _values(address)
        for found in _PROPERTY.finditer(address):
            value = found[2].strip("\"'")
            yield from hidden_parts(value) if is_address(value) else ()
        return
    _, user, host, path = _parts(address) if is_address(address) else ("", None, "", address)
    if not host:
        # What is a password and what a host cannot be told; only that a host is what follows the last "@".
        before, at, after = unquote(unquote(path)).strip("\"' ").rpartition("@")
        credentials = before if at else after
        yield from (credentials, credentials.partition(":")[2])
        if at or is_address(address):
            yield from re.split(r"[/?#@:\s]+", credentials)
        yield from _values(path)
        return
    if user:
        yield user
        name, colon, password = user.partition(":")
        yield password if colon else name
    end = _PATH_END.search(path)
    if end:
        yield path[end.end() :]
        yield from _values(path)
    yield from _RANDOM.findall(path)
    if address.lower().startswith("rtmp"):
        yield from path.strip("/").split("/")[1:]


def spellings(part: str) -> Iterator[str]:
    """Yields how libraries write a part of an address: encoded once or twice, decoded, in Base64."""
    plain = unquote(part)
    for text in (part, plain, unquote(plain), part.strip("\"'")):
        yield text
        for encoded in (quote(text, safe=""), quote(text), quote_plus(text)):
            yield encoded
            yield quote(encoded, safe="")
        yield repr(text)[1:-1]
        yield base64.b64encode(text.encode("utf-8", "surrogateescape")).decode().rstrip("=")


def _parts(address: str) -> tuple[str, str | None, str, str]:
    """Returns scheme, credentials (None without "@"), host with port, and the rest from the path on.

    The host is empty where it cannot be told from a password: nothing but the scheme is shown then.
    """
    found = _ADDRESS.match(address)
    assert found is not None
    rest = address[found.end() :]
    end = re.search(r"[/?#\\]", rest)
    authority, path = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    user, at, host = authority.rpartition("@")
    # An "@" further on: the password may hold "/" or "?" unescaped, and what looks like a host be part of it.
    if not _HOST.fullmatch(host) or "@" in path:
        return found[1], None, "", rest
    return found[1], user if at else None, host, path


def _shown_path(path: str, scheme: str) -> str:
    end = _PATH_END.search(path)
    shown, rest = (path[: end.start()], path[end.start() :]) if end else (path, "")
    if scheme.lower().startswith("rtmp"):
        # rtmp://host/application/key: whoever has the key may send in the camera's place.
        first, *keys = shown.strip("/").split("/")
        shown = f"/{first}/{HIDDEN}" if keys else f"/{HIDDEN}" if first else shown
        rest = "" if rest and shown.endswith(HIDDEN) else rest
    shown = _RANDOM.sub(HIDDEN, shown)
    if len(shown) > _PATH_LIMIT:
        return shown[:_PATH_LIMIT] + HIDDEN
    mark = rest[0] if rest[:1] in tuple("?#=&;:") else ""
    return f"{shown}{mark}{HIDDEN}" if rest else shown


def _shown_pipeline(pipeline: str) -> str:
    """Shows the elements and the names of their properties, and of values addresses alone."""

    def value(found: re.Match[str]) -> str:
        text = found[2].strip("\"'")
        return f"{found[1]}={shown_address(text) if is_address(text) else HIDDEN}"

    # Values first: a quoted one may hold " ! ".
    parts = _PROPERTY.sub(value, pipeline).split(" ! ")
    shown = []
    for part in map(str.strip, parts):
        element = _ELEMENT.match(part)
        kept = [word for word in part.split()[1:] if _PROPERTY.fullmatch(word)]
        shown.append(" ".join([element[0] if element else HIDDEN, *kept]))
    return " ! ".join(shown)


def _values(text: str) -> Iterator[str]:
    for written in (text, unquote(text), unquote(unquote(text))):
        for found in re.finditer(r"[\w.-]*=(\"[^\"]*\"|'[^']*'|[^&;\s]*)", written):
            value = found[1]
            if _SENSITIVE.search(found[0]) or (len(value) >= 8 and not (value.isalpha() and value.islower())):
                yield value
            # XiongMai joins with "_" what others join with "&".
            yield from re.split(r"_\w+=", value) if "=" in value else ()
