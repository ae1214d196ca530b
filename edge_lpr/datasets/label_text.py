"""What labels say: the one way in which texts are written, and the marks of what is not to count."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

from edge_lpr.types import Quad

__all__ = ["IGNORED", "UNCOUNTED", "LabelledPlate", "clean_text", "is_uncounted"]

UNCOUNTED = "###"
"""The text of a plate that is neither to be learnt nor counted, however its label says so."""
IGNORED = frozenset({UNCOUNTED, "*", "?"})
"""PP-OCR's marks of such a text, and that of ``plates.csv``."""
# What PPOCRLabel writes into a box that nobody has read yet, and into one that its recognizer could not read,
# in Chinese and in English (`tempLabel` and `nullLabel` of its strings).
_PLACEHOLDERS = frozenset({"待识别", "TEMPORARY", "无法识别", "NULL"})
# Dots as people write the one that is painted on plates, beside all dashes (Unicode's category Pd).
_DOTS = frozenset(".·•‧∙⋅・●◦。_")
_SEPARATORS = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Pd"})


class LabelledPlate(NamedTuple):
    """One labelled plate.

    Attributes:
        text: Its characters, as `clean_text` writes them; "###", "*" or "?" for one that is not to count.
        corners: float32 4×2, top-left, top-right, bottom-right, bottom-left, in pixels; None where unknown.
    """

    text: str
    corners: Quad | None

    @property
    def ignored(self) -> bool:
        """Whether the plate is marked as not to be counted."""
        return self.text in IGNORED


def clean_text(text: str) -> str:
    """Writes a plate's text in one way: "皖a·１２３４５", "皖A-12345" and "皖A 12345" are the same plate.

    Full-width and other compatibility forms become plain ones (Unicode's NFKC), letters upper case; dots,
    dashes, blanks and invisible characters go.
    """
    plain = unicodedata.normalize("NFKC", text).upper()
    if plain.isalnum():  # as nearly all are, of lists of a hundred thousand
        return plain
    return "".join(c for c in plain if c not in _DOTS and unicodedata.category(c) not in _SEPARATORS)


def is_uncounted(text: str) -> bool:
    """Tells whether a label's text, as it is written, marks a plate that is not to be counted."""
    plain = unicodedata.normalize("NFKC", text).strip()
    return plain in IGNORED or plain in _PLACEHOLDERS
