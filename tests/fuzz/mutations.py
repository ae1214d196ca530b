"""What is done to a good input: the kinds of damage that files have and that attackers try."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

__all__ = ["mutate"]

_NUMBER = re.compile(rb"-?[0-9]+")
_LENGTHS = (1, 2, 4, 8)
_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63) - 1)
_WORDS = (
    *(b"9" * 400, b"9" * 5000, b"-1", b"0", b"1e999", b"NaN", b"Infinity", b"null", b"true", b"[]", b"{}"),
    *(
        b"[" * 2000,
        b'{"a":' * 2000,
        b"\\ud800",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\0",
        b"\x1b[2J",
        b"../../etc",
    ),
    *(b"&a [*a]", b"*a", b"!!python/object:os.system", b"#EXTM3U\n", b"\t", b"\r\n", b'"', b"'", b",", b";"),
    *("皖·\u202e\u2028".encode(), b'""'),
)
_LARGE = 1 << 20


def mutate(seeds: Sequence[bytes], number: int) -> bytes:
    """Makes an input.

    Args:
        seeds: Good inputs.
        number: Which one to make; 0, 1, … are the seeds themselves.
    """
    if number < len(seeds):
        return seeds[number]
    rng = random.Random(number)
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        rng.choice(_OPERATIONS)(data, rng, seeds)
        del data[_LARGE:]
    return bytes(data)


Operation = Callable[[bytearray, random.Random, Sequence[bytes]], None]


def _place(data: bytearray, rng: random.Random) -> int:
    # Headers are where most can go wrong.
    end = len(data) if rng.random() < 0.5 else min(len(data), 128)
    return rng.randrange(end + 1)


def _span(data: bytearray, rng: random.Random) -> slice:
    start = _place(data, rng)
    return slice(start, start + rng.choice((1, 2, 4, 12, 64, 1000)))


def _flip(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    if data:
        data[_place(data, rng) % len(data)] ^= 1 << rng.randrange(8)


def _byte(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    if data:
        data[_place(data, rng) % len(data)] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, rng.randrange(256)))


def _extreme(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    length = rng.choice(_LENGTHS)
    value = rng.choice((*_EXTREMES, len(data))) & ((1 << 8 * length) - 1)
    start = _place(data, rng)
    data[start : start + length] = value.to_bytes(length, rng.choice(("little", "big")))


def _cut(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    del data[_place(data, rng) :]


def _delete(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    del data[_span(data, rng)]


def _repeat(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    span = _span(data, rng)
    data[span.start : span.start] = data[span] * rng.choice((1, 2, 50))


def _noise(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    data[_span(data, rng)] = rng.randbytes(rng.choice((1, 4, 16, 256)))


def _splice(data: bytearray, rng: random.Random, seeds: Sequence[bytes]) -> None:
    other = bytearray(rng.choice(seeds))
    data[_place(data, rng) :] = other[_place(other, rng) :]


def _number(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    found = list(_NUMBER.finditer(data))
    if found:
        start, end = rng.choice(found).span()
        data[start:end] = rng.choice(_WORDS)


def _word(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    start = _place(data, rng)
    data[start:start] = rng.choice(_WORDS)


_OPERATIONS: tuple[Operation, ...] = (
    *(_flip, _byte, _extreme, _extreme, _cut, _delete, _repeat, _noise, _splice, _number, _number, _word),
)
