"""The style sheet: contrast of its colours in both themes, and what else it has to have."""

from __future__ import annotations

import re
from importlib import resources

import pytest

CSS = (resources.files("edge_lpr.serve.web") / "assets" / "page.css").read_text(encoding="utf-8")
COLOURS = {
    name: (light, dark)
    for name, light, dark in re.findall(r"--([\w-]+): light-dark\(#([0-9a-f]{6}), #([0-9a-f]{6})\);", CSS)
}
TEXTS = [
    *((text, ground) for text in ("text", "muted", "link") for ground in ("bg", "panel")),
    *((name, f"{name}-bg") for name in ("allow", "deny", "watch")),
    ("on-accent", "accent"),
]
# What is no text but has to be seen: borders of fields, the focus, states, the chart's bars (WCAG 1.4.11).
SHAPES = [
    *((name, "panel") for name in ("border", "focus", "deny", *(f"s{i}" for i in range(8)))),
    ("focus", "bg"),
    ("border", "bg"),
]


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    shares = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Contrast ratio of WCAG 2.2, 1 to 21."""
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_measure() -> None:
    assert contrast("000000", "ffffff") == pytest.approx(21)
    assert contrast("767676", "ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast(theme: int) -> None:
    for pairs, least in ((TEXTS, 4.5), (SHAPES, 3.0)):
        for one, other in pairs:
            found = contrast(COLOURS[one][theme], COLOURS[other][theme])
            assert found >= least, f"{one} on {other}: {found:.2f}"


def test_every_colour_is_there_for_both_themes() -> None:
    used = set(re.findall(r"var\(--([\w-]+)\)", CSS))
    assert used == set(COLOURS)
    named = re.sub(r"light-dark\([^)]*\)|/\*.*?\*/", "", CSS, flags=re.DOTALL)
    # Over a camera's picture, which no theme changes.
    over_pictures = {"#000", "#fff", "#4be07a", "#ff8a7a", "#ffb454"}
    assert set(re.findall(r"#[0-9a-f]{3,6}\b", named)) <= over_pictures


def test_motion_and_focus_are_minded() -> None:
    assert ":focus-visible" in CSS
    still = re.sub(r"@media \(prefers-reduced-motion: no-preference\) \{.*?\n\}", "", CSS, flags=re.DOTALL)
    assert "animation" in CSS and "animation" not in still and "transition" not in still
    assert "url(" not in CSS and "@import" not in CSS
