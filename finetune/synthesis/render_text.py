"""What stands on rendered plates: formats, and a mix that favours what is hard to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

Rng = np.random.Generator

PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
DIGITS = "0123456789"
ENERGY = "ABCDEFGHJK"
ENDINGS = {
    "police": "警",
    "learner": "学",
    "trailer": "挂",
    "hongkong": "港",
    "macau": "澳",
    "consulate": "领",
}

KIND_WEIGHTS: dict[str, float] = {
    "blue": 0.47,
    "green": 0.20,
    "yellow": 0.12,
    "learner": 0.06,
    "police": 0.05,
    "trailer": 0.03,
    "hongkong": 0.02,
    "macau": 0.02,
    "consulate": 0.02,
    "embassy": 0.01,
}
HARD_SETS = (
    *("D0Q", "D0", "8BS3", "BR8", "Z27", "5S6G", "HMN", "CGU6"),
    *("PF", "UV", "4A", "1TL7", "KX", "EF", "9Q"),
)
"""Letters and digits that a recognizer takes for each other when they are blurred."""
HARD_PROVINCES = (
    *("豫沪", "川鄂", "苏赣", "皖赣鄂", "皖津", "粤鲁贵", "津浙湘", "浙湘"),
    *("冀黑", "京吉", "桂赣", "闽蒙", "宁琼"),
)
"""Provinces that are taken for each other."""


@dataclass(frozen=True)
class SyntheticPlate:
    """What stands on a plate.

    Attributes:
        text: The characters without the dot, as `PlateRead.text`.
        kind: The format, one of `KIND_WEIGHTS`.
        rows: 1, or 2 for the high rear plate of large vehicles.
    """

    text: str
    kind: str
    rows: int = 1

    @property
    def size_mm(self) -> tuple[int, int]:
        """Width and height in millimetres."""
        return 480 if self.kind == "green" else 440, 220 if self.rows == 2 else 140


@dataclass(frozen=True)
class PlateMix:
    """What `sample_plate` draws from.

    Attributes:
        kinds: Kind to weight; weights need not sum to 1.
        hard: Share of characters and provinces from the sets that are confused when blurred, 0 to 1.
        repeat: Chance that a serial character repeats the one before ("88", "11"), which CTC merges easily.
        two_rows: Share of yellow and trailer plates that are in two rows, 0 to 1.
        letters: Chance of a letter at a serial position.
        home: Provinces that are more frequent where the camera stands.
        home_share: Share of plates from there, 0 to 1, besides those that come by chance.
    """

    kinds: Mapping[str, float] = field(default_factory=lambda: KIND_WEIGHTS)
    hard: float = 0.3
    repeat: float = 0.15
    two_rows: float = 0.0
    letters: float = 0.35
    home: str = ""
    home_share: float = 0.0


def _pick(rng: Rng, chars: str) -> str:
    return chars[int(rng.integers(len(chars)))]


def _serial(rng: Rng, count: int, mix: PlateMix, letters: float) -> str:
    text = ""
    while len(text) < count:
        if text and rng.random() < mix.repeat:
            text += text[-1]
        elif rng.random() < mix.hard and letters > 0:
            text += _pick(rng, HARD_SETS[int(rng.integers(len(HARD_SETS)))])
        else:
            text += _pick(rng, LETTERS if rng.random() < letters else DIGITS)
    return text


def sample_plate(rng: Rng, mix: PlateMix | None = None) -> SyntheticPlate:
    """Draws a plate: every province and character about equally often, hard ones more often.

    Args:
        rng: Source of randomness.
        mix: Shares of kinds and of hard characters; the defaults if None.

    Returns:
        A plate whose text fits its kind's format.
    """
    mix = mix or PlateMix()
    names = list(mix.kinds)
    weights = np.asarray([mix.kinds[name] for name in names], np.float64)
    kind = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    pool = HARD_PROVINCES[int(rng.integers(len(HARD_PROVINCES)))] if rng.random() < mix.hard else PROVINCES
    province = _pick(rng, mix.home if mix.home and rng.random() < mix.home_share else pool)
    office = _pick(rng, LETTERS + "O" if rng.random() < 0.6 else "AAABCDE")
    rows = 2 if kind in ("yellow", "trailer") and rng.random() < mix.two_rows else 1
    if kind == "embassy":
        digits = _serial(rng, 6, mix, 0)
        return SyntheticPlate(digits + "使" if rng.random() < 0.5 else "使" + digits, kind)
    if kind == "green":
        energy = _pick(rng, "DF" if rng.random() < 0.6 else ENERGY)
        if rng.random() < 0.8:
            second = _pick(rng, LETTERS) if rng.random() < 0.2 else _pick(rng, DIGITS)
            return SyntheticPlate(province + office + energy + second + _serial(rng, 4, mix, 0), kind)
        return SyntheticPlate(province + office + _serial(rng, 5, mix, 0) + energy, kind)
    if kind in ENDINGS:
        if kind in ("hongkong", "macau"):
            province, office = "粤", "Z"
        return SyntheticPlate(
            province + office + _serial(rng, 4, mix, mix.letters) + ENDINGS[kind], kind, rows
        )
    return SyntheticPlate(province + office + _serial(rng, 5, mix, mix.letters), kind, rows)
