"""Counts as a bar chart: SVG made here, with classes that the page's style sheet colours for either theme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

__all__ = ["SERIES", "Bar", "bar_chart"]

SERIES = 8
"""Colours that there are; what comes after shares the last."""
_WIDTH, _HEIGHT = 960, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 8, 12, 36


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        label: What it counts: an hour, "2026-11-27T07:00", or a day. Under the bar stands the end of it.
        counts: What it is made of, one for each series, from the bottom up.
    """

    label: str
    counts: tuple[int, ...]


def bar_chart(title: str, series: Sequence[str], bars: Sequence[Bar]) -> Markup:
    """Draws stacked bars.

    Args:
        title: What it shows; a reader aloud says it. The numbers stand in a table beside, not here.
        series: What the parts of a bar are called.
        bars: From left to right.

    Returns:
        An `<svg>` without any style of its own.
    """
    highest = max([1, *(sum(bar.counts) for bar in bars)])
    step = _step(highest)
    top = step * math.ceil(highest / step)
    across, down = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
    ]
    for value in range(0, top + 1, step):
        y = _TOP + down * (1 - value / top)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value}</text>')
    pitch = across / max(1, len(bars))
    every = max(1, math.ceil(len(bars) * 64 / across))
    for i, bar in enumerate(bars):
        x, base = _LEFT + pitch * (i + 0.1), float(_TOP + down)
        for number, count in enumerate(bar.counts):
            if count:
                height = down * count / top
                base -= height
                what = f"{bar.label}, {series[number]}: {count}"
                parts.append(
                    f'<rect class="s{min(number, SERIES - 1)}" x="{x:.1f}" y="{base:.1f}" '
                    f'width="{pitch * 0.8:.1f}" height="{height:.1f}"><title>{escape(what)}</title></rect>'
                )
        if i % every == 0:
            at = f'x="{x + pitch * 0.4:.1f}" y="{_HEIGHT - 14}"'
            parts.append(f'<text {at} text-anchor="middle">{escape(_short(bar.label))}</text>')
    return Markup("".join([*parts, "</svg>"]))


def _short(label: str) -> str:
    """Returns the hour, and of midnight and of a day month and day."""
    day, mark, hour = label.partition("T")
    return hour if mark and hour != "00:00" else day[5:]


def _step(highest: int) -> int:
    """Returns a round distance of the grid's lines, five of them or so."""
    rough = highest / 5
    power = 10 ** math.floor(math.log10(max(1, rough)))
    return max(1, int(next(power * m for m in (1, 2, 5, 10) if power * m >= rough)))
