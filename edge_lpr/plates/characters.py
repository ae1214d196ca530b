"""The characters that stand on plates in mainland China, as sets that positions of formats name."""

from __future__ import annotations

PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
"""The 31 provinces, autonomous regions and municipalities, one character each."""
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
"""The 24 letters of a serial: no plate has I there, nor O, which look like 1 and 0 (GA 36-2018)."""
OFFICES = LETTERS + "O"
"""The issuing office, the second character. Here alone O occurs, on vehicles of authorities."""
DIGITS = "0123456789"
SERIAL = LETTERS + DIGITS
DOT = "·"
"""The dot that is painted behind the office; no part of a plate's text."""
HOMOGLYPHS: tuple[tuple[str, str], ...] = (("O", "0"), ("I", "1"))
"""Pairs of characters that share one glyph on plates; the position tells them apart, none allows both."""
