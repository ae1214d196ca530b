"""The pages' HTML: Jinja2 with everything escaped, and the few files beside it."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import lru_cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from edge_lpr._version import __version__
from edge_lpr.counting import counted
from edge_lpr.pipeline.wall_clock import parse_iso

__all__ = ["STATIC", "local_time", "render", "static_file", "zone"]

STATIC = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
"""Files that pages use, and their types."""


def render(template: str, **values: Any) -> str:  # noqa: ANN401 (a template shows anything)
    """Fills a template; whatever it is given is escaped.

    Args:
        template: Its name.
        values: What it shows; a name that it lacks is an error.
    """
    return _environment().get_template(template).render(**values)


@lru_cache(maxsize=len(STATIC))
def static_file(name: str) -> tuple[bytes, str]:
    """Returns a file of `STATIC`, and what changes when it does."""
    data = (resources.files(__package__) / "assets" / name).read_bytes()
    return data, hashlib.sha256(data).hexdigest()[:16]


def local_time(stamp: str) -> str:
    """Returns a time, ISO 8601 UTC, as the clock of this machine shows it; "" for none."""
    if not stamp:
        return ""
    return parse_iso(stamp).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def zone() -> str:
    """Returns what this machine's clock is called, and how far it is from UTC: "CET, UTC+01:00"."""
    now = datetime.now().astimezone()
    offset = now.strftime("%z")
    return "UTC" if now.tzname() == "UTC" else f"{now.tzname()}, UTC{offset[:3]}:{offset[3:5]}"


def _clock(stamp: str) -> Markup:
    """Returns what `local_time` does, for a narrow page to part between day and time alone."""
    return Markup(" ").join(Markup("<span>{}</span>").format(part) for part in local_time(stamp).split())


def _static_url(name: str) -> str:
    return f"/static/{name}?v={static_file(name)[1]}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    return f"{hours} h {minutes:02d} min"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("edge_lpr.serve.web", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(static_url=_static_url, version=__version__)
    made.filters.update(clock=_clock, counted=counted, percent=_percent, duration=_duration)
    return made
