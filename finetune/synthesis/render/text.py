"""What stands on rendered plates: formats, and a mix that favours what is hard to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from edge_lpr.plates.characters import DIGITS, LETTERS, OFFICES, PROVINCES, SERIAL
from edge_lpr.plates.kind import PlateKind
from edge_lpr.plates.layout import Layout
from edge_lpr.plates.registry import KINDS
from edge_lpr.types import Rng

HARD_SETS = (
    *("D0Q", "D0", "8BS3", "BR8", "Z27", "5S6G", "HMN", "CGU6"),
    *("PF", "UV", "4A", "1TL7", "KX", "EF", "9Q", "78", "D0", "B8", "Z2", "17"),
)
"""Letters and digits that a recognizer takes for each other when they are blurred. A set is drawn, and of
it a character: what stands in several sets is drawn more often."""
HARD_PROVINCES = (
    *("豫沪", "川鄂", "苏赣", "皖赣鄂", "皖津", "粤鲁贵", "津浙湘", "浙湘"),
    *("冀黑", "京吉", "桂赣", "闽蒙", "宁琼", "皖桂鄂湘冀", "皖桂", "鄂湘", "冀鲁晋", "藏冀赣", "晋浙"),
)
"""Provinces that are taken for each other."""


@dataclass(frozen=True)
class SyntheticPlate:
    """What stands on a plate.

    Attributes:
        text: The characters without the dot, as `PlateRead.text`.
        kind: The kind, one of `plate_kinds()`.
        rows: 1, or 2 for the high rear plate of large vehicles.
    """

    text: str
    kind: str
    rows: int = 1

    @property
    def size_mm(self) -> tuple[int, int]:
        """Width and height in millimetres."""
        return self.layout.size

    @property
    def layout(self) -> Layout:
        """How it is arranged."""
        return KINDS[self.kind].layout(self.text, self.rows)


def kind_shares() -> dict[str, float]:
    """Returns the weight of each kind among rendered plates, the commonest first."""
    shares = {kind.name: kind.share for kind in KINDS if kind.share > 0}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


@dataclass(frozen=True)
class PlateMix:
    """What `sample_plate` draws from.

    Attributes:
        kinds: Kind to weight; weights need not sum to 1.
        hard: Share of characters and provinces from the sets that are confused when blurred, 0 to 1.
        repeat: Chance that a serial character repeats the one before ("88", "11"), which CTC merges easily.
        two_rows: Share of plates in two rows among kinds that have them, 0 to 1.
        letters: Chance of a letter at a serial position.
        home: Provinces that are more frequent where the camera stands.
        home_share: Share of plates from there, 0 to 1, besides those that come by chance.
    """

    kinds: Mapping[str, float] = field(default_factory=kind_shares)
    hard: float = 0.3
    repeat: float = 0.15
    two_rows: float = 0.0
    letters: float = 0.35
    home: str = ""
    home_share: float = 0.0


class _Draw:
    """Draws the parts of one plate's text.

    Args:
        rng: Source of randomness.
        mix: Shares of hard characters.
    """

    def __init__(self, rng: Rng, mix: PlateMix) -> None:
        self._rng, self._mix = rng, mix
        hard = (
            HARD_PROVINCES[int(rng.integers(len(HARD_PROVINCES)))] if rng.random() < mix.hard else PROVINCES
        )
        self.province = self.pick(mix.home if mix.home and rng.random() < mix.home_share else hard)
        self.office = self.pick(OFFICES if rng.random() < 0.6 else "AAABCDE")

    def pick(self, characters: str) -> str:
        """Draws one of some characters, all alike."""
        return characters[int(self._rng.integers(len(characters)))]

    def serial(self, count: int, *, letters: bool = True) -> str:
        """Draws letters and digits, or digits alone; those that are hard to tell apart more often."""
        rng, share = self._rng, self._mix.letters if letters else 0.0
        text = ""
        while len(text) < count:
            if text and rng.random() < self._mix.repeat:
                text += text[-1]
            elif rng.random() < self._mix.hard and share > 0:
                text += self.pick(HARD_SETS[int(rng.integers(len(HARD_SETS)))])
            else:
                text += self.pick(LETTERS if rng.random() < share else DIGITS)
        return text

    def chance(self, probability: float) -> bool:
        """Draws whether something of a probability, 0 to 1, happens."""
        return bool(self._rng.random() < probability)

    def text(self, kind: PlateKind) -> str:
        """Draws what the positions of one of the kind's formats allow."""
        formats = list(kind.formats.values())
        positions = formats[int(self._rng.integers(len(formats)))] if len(formats) > 1 else formats[0]
        text = ""
        # Serials are drawn as a whole: a character may repeat the one before.
        for allowed, run in groupby(positions):
            count = len(list(run))
            if allowed in (SERIAL, DIGITS):
                text += self.serial(count, letters=allowed == SERIAL)
            elif count == 1 and allowed in (PROVINCES, OFFICES):
                text += self.province if allowed == PROVINCES else self.office
            else:
                text += "".join(allowed if len(allowed) == 1 else self.pick(allowed) for _ in range(count))
        return text


def sample_plate(rng: Rng, mix: PlateMix | None = None) -> SyntheticPlate:
    """Draws a plate: every province and character about equally often, hard ones more often.

    Args:
        rng: Source of randomness.
        mix: Shares of kinds and of hard characters; the defaults if None.

    Returns:
        A plate whose text fits one of its kind's formats.
    """
    mix = mix or PlateMix()
    names = list(mix.kinds)
    weights = np.asarray([mix.kinds[name] for name in names], np.float64)
    kind = KINDS[names[int(rng.choice(len(names), p=weights / weights.sum()))]]
    draw = _Draw(rng, mix)
    rows = 2 if kind.has_two_rows and draw.chance(mix.two_rows) else 1
    text = kind.sample(draw) if kind.sample else draw.text(kind)
    possible = kind.rows(text)
    return SyntheticPlate(text, kind.name, rows if rows in possible else possible[0])
