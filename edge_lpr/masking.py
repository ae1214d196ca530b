"""Texts that others wrote, without the secrets of addresses: messages, tracebacks, what libraries print.

What stands in a text is found in two ways. Addresses, credentials and values of telling names are recognised
wherever they stand. And the addresses that a process was given are remembered, so that their secrets are
found in any spelling and torn out of any context.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TextIO

from edge_lpr.addresses import (
    HIDDEN,
    SCHEMES,
    SECRET_NAMES,
    hidden_parts,
    is_pipeline,
    may_hold_secret,
    shown_address,
    shown_receiver,
    shown_source,
    spellings,
)

__all__ = ["MaskedStream", "masked", "remember", "remember_argument", "remember_receiver", "remember_secret"]

_SHORTEST = 4  # a shorter secret stands in too many words
_MOST = 10_000  # spellings that are remembered; a program that reads on and on forgets the oldest

# No part without a bound: a line may be long, and hostile.
_START = rf"(?:\b[A-Za-z][A-Za-z0-9+.-]{{0,20}}://|\b(?:{'|'.join(SCHEMES)}):)"
# Up to the last "@" of the line, for a password may hold blanks; but not over another address.
_URL = rf"(?P<url>{_START}(?:(?:(?!{_START})[^\n])*@)?[^\s\"'<>]*)"
# Not the "WARN:0@1.23" of OpenCV's log.
_LOGIN = (
    r"(?P<login>(?!(?:WARN|INFO|DEBUG|ERROR|FATAL):\d+@)(?<![^\s\"'(,=/])"
    r"[^\s:@/\\\"'(,=]{1,64}:[^\s\"']{0,256}@[^\s\"']*)"
)
_VALUE = (
    rf"(?P<name>(?<![\w.-])[\w.-]{{0,64}}(?:{SECRET_NAMES})[\w.-]*)(?P<is>\s*=\s*|%(?:25)*3D)"
    r"(?P<value>\"[^\"\n]*\"|'[^'\n]*'|[^\s&;'\",]+)"
)
_HEADER = r"(?P<header>authorization\s*:)[^\n]*"
_ANY = re.compile(f"{_HEADER}|{_URL}|{_LOGIN}|{_VALUE}", re.IGNORECASE)
_OPTION = re.compile(r"-*\w[\w.-]*=(?=\S)")
_TRAILING = re.compile(r"[:;,.)\]]*$")

# What a process was given is known to all of it.
_known: dict[str, str] = {}
_longest_first: list[str] = []


def masked(text: str) -> str:
    """Returns a text with the secrets of addresses replaced by ***; one without any is returned as it is."""
    lowered = text.lower()
    for secret in _longest_first:
        if secret in lowered:
            shown = _known.get(secret, HIDDEN)
            text = re.sub(re.escape(secret), shown.replace("\\", r"\\"), text, flags=re.IGNORECASE)
            lowered = text.lower()
    return _ANY.sub(_replaced, text) if "=" in text or ":" in text or "%" in text else text


def remember(address: str) -> None:
    """Has `masked` hide the secrets of an address, pipeline or slip of either in every later text."""
    shown = shown_source(address)
    if shown == address:
        return
    for part in hidden_parts(address):
        remember_secret(part)
    _add([address, repr(address)[1:-1]], shown)


def remember_receiver(address: str) -> None:
    """Has `masked` hide all of a webhook's address but its host in every later text."""
    remember(address)
    if (shown := shown_receiver(address)).endswith(f"/{HIDDEN}") and not shown.endswith(f"//{HIDDEN}"):
        _add([address, repr(address)[1:-1]], shown)


def remember_argument(argument: str) -> None:
    """Does so with what a command was given, be it a source or, by a slip, the value of any option."""
    option = _OPTION.match(argument)
    text = argument[option.end() :] if option else argument
    if may_hold_secret(text) or is_pipeline(text):
        remember(text)


def remember_secret(text: str) -> None:
    """Has `masked` hide a text that is a secret as a whole."""
    if len(text) >= _SHORTEST:
        _add(spellings(text), HIDDEN)


class MaskedStream:
    """A text stream that writes masked what is written to it; all else is the stream's own.

    Args:
        stream: The stream.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes a text without the secrets in it; returns the length of the text as it was given."""
        self._stream.write(masked(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def _replaced(found: re.Match[str]) -> str:
    if found["header"]:
        return f"{found['header']} {HIDDEN}"
    if found["login"]:
        return HIDDEN
    if found["value"]:
        return f"{found['name']}{found['is']}{HIDDEN}"
    text = found["url"]
    end = _TRAILING.search(text)
    text, rest = (text[: end.start()], text[end.start() :]) if end else (text, "")
    scheme, _, body = text.partition(":")
    if not body.strip("/"):  # a scheme's name alone
        return found["url"]
    if body.startswith("/"):  # a path of the file system has one "/" where the address had two
        return shown_address(f"{scheme}://{body.lstrip('/')}") + rest
    return f"{scheme}:{HIDDEN}{rest}" if "@" in body else found["url"]


def _add(texts: Iterable[str], shown: str) -> None:
    for text in {text.lower() for text in texts} - {"", HIDDEN, *SCHEMES}:
        _known.pop(text, None)
        _known[text] = shown
    for text in list(_known)[: max(0, len(_known) - _MOST)]:
        del _known[text]
    _longest_first[:] = sorted(_known, key=len, reverse=True)
