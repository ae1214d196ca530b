"""Crops that show no plate: other text, and plain surfaces.

A recognizer that only ever saw plates reads a plate into everything. The head has one
unknown class for all characters that plates do not use; these crops teach it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from edge_lpr.errors import InputError
from edge_lpr.finetune.synthesis import corruptions
from edge_lpr.finetune.synthesis.render.text import sample_plate
from edge_lpr.types import Image, Rng

__all__ = ["CONTRAST", "TextRenderer", "colours"]

_NEAR = 0.4
"""Share of texts that are like a plate's."""
CONTRAST = 48
"""Levels by which paper and ink differ in one channel at least: what cannot be seen is labelled as a text."""


@lru_cache(maxsize=64)
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(path, size)
    except OSError as e:
        raise InputError(f"{path}: cannot be read as a font ({e}); give a .ttf, .otf or .ttc file") from e


def colours(rng: Rng) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Draws the colours of a paper and of an ink that shows on it."""
    while True:
        paper, ink = rng.integers(0, 256, (2, 3))
        if np.abs(paper - ink).max() >= CONTRAST:
            return tuple(map(int, paper)), tuple(map(int, ink))


class TextRenderer:
    """Draws short texts that are no plates.

    Args:
        characters: What texts are made of; those that the font lacks are left out.
        font: A font file that has them (Noto Sans CJK has all of PaddleOCR's dictionary).
    """

    def __init__(self, characters: Sequence[str], font: Path) -> None:
        self.font = str(font)
        face = _font(self.font, 40)
        # What a font lacks it draws as the same box as a code point that is never assigned.
        missing = bytes(face.getmask("\U0010fffe"))
        self.characters = [
            c for c in characters if len(c) == 1 and c.strip() and bytes(face.getmask(c)) != missing
        ]
        if len(self.characters) < 10:
            raise InputError(
                f"{font}: has {len(self.characters)} of the dictionary's characters; give another font"
            )
        self._known = frozenset(self.characters)
        self.plain = [c for c in self.characters if c.isascii() and c.isalnum()]

    def text(self, rng: Rng) -> str:
        """Draws a text: characters no plate has, a number, letters alone, or what is like a plate."""
        if rng.random() < _NEAR:
            # What the font lacks it would draw as a box.
            near = "".join(c for c in self._near(rng) if c in self._known)
            if near:
                return near
        length = int(rng.integers(1, 9))
        share = float(rng.choice([0.0, 0.3, 1.0], p=[0.5, 0.3, 0.2])) if self.plain else 0.0
        pool = [self.plain if rng.random() < share else self.characters for _ in range(length)]
        return "".join(p[int(rng.integers(len(p)))] for p in pool)

    def _near(self, rng: Rng) -> str:
        """A text like a plate's: one with characters more, less or other than plates have; a time."""
        if rng.random() < 0.25:
            year, month, day, hour, minute, second = (
                int(rng.integers(low, high))
                for low, high in ((2000, 2040), (1, 13), (1, 32), (0, 24), (0, 60), (0, 60))
            )
            date = f"{year}-{month:02}-{day:02}" if rng.random() < 0.7 else f"{year}年{month}月{day}日"
            time = f"{hour:02}:{minute:02}:{second:02}"
            return str(rng.choice([date, time]))
        text = list(sample_plate(rng).text)
        for _ in range(int(rng.integers(1, 4))):
            at, other = int(rng.integers(len(text))), self.characters[int(rng.integers(len(self.characters)))]
            change = rng.random()
            if change < 0.4:
                text.insert(at, other)
            elif change < 0.8:
                text[at] = other
            elif len(text) > 3:
                del text[at]
        return "".join(text)

    def crop(self, rng: Rng, height: int = 48) -> tuple[Image, str]:
        """Draws one crop as a detector would cut it out.

        Args:
            rng: Source of randomness.
            height: Of the letters, in pixels.

        Returns:
            uint8 H×W×3 BGR, and the text on it ("" for a surface without any).
        """
        paper, ink = colours(rng)
        if rng.random() < 0.15:
            return self._surface(rng, height), ""
        text = self.text(rng)
        face = _font(self.font, int(rng.choice([height * 5 // 8, height * 3 // 4, height])))
        left, top, right, bottom = face.getbbox(text)
        edge = rng.integers(0, max(2, height // 5), 4)
        size = (max(8, int(right - left + edge[0] + edge[1])), max(8, int(bottom - top + edge[2] + edge[3])))
        canvas = PillowImage.new("RGB", size, paper)
        at = (float(edge[0] - left), float(edge[2] - top))
        ImageDraw.Draw(canvas).text(at, text, font=face, fill=ink)
        image = np.ascontiguousarray(np.asarray(canvas)[..., ::-1])
        return corruptions.camera(image, rng, plate_height=height, strength=0.7), text

    @staticmethod
    def _surface(rng: Rng, height: int) -> Image:
        """Grilles, lamps and shadows, as far as a few random bands and blobs resemble them."""
        width = int(height * rng.uniform(2, 5))
        small = rng.integers(0, 256, (int(rng.integers(1, 7)), int(rng.integers(1, 16)), 3)).astype(np.uint8)
        method = cv2.INTER_CUBIC if rng.random() < 0.6 else cv2.INTER_NEAREST
        image = np.asarray(cv2.resize(small, (width, height), interpolation=method), np.uint8)
        return corruptions.camera(image, rng, plate_height=height, strength=0.7)
