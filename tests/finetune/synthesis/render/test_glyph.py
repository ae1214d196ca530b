from __future__ import annotations

import numpy as np

from edge_lpr.finetune.synthesis.render import glyph as glyphs
from edge_lpr.plates.characters import DIGITS, LETTERS, PROVINCES

CHARS = PROVINCES + "警学挂港澳领使" + LETTERS + "IO" + DIGITS


def test_glyphs_differ_and_fill_their_cell() -> None:
    for font in glyphs.latin_fonts():
        seen = {}
        for char in CHARS:
            cell = glyphs.glyph(char, font, 2)
            assert cell.shape == (144, 72)
            rows = np.flatnonzero(cell.max(axis=1) > 128)
            assert rows[0] < 12, char
            assert rows[-1] > 131, char
            seen[char] = cell.tobytes()
        # The plates' 0 and O look alike, and so may a bare 1 and I.
        distinct = {data for char, data in seen.items() if char not in "OI"}
        assert len(distinct) == len(CHARS) - 2


def test_heavier_weights_have_more_ink() -> None:
    for char in "A8皖川":
        ink = [int(glyphs.glyph(char, "strokes", w).sum()) for w in range(glyphs.WEIGHTS)]
        assert ink == sorted(ink)
        assert ink[-1] > 1.1 * ink[0]
