"""What settings are made of: tables, names, places in a picture, times of day."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["MOST_POLYGONS", "Name", "Point", "Polygon", "Share", "Span", "Table"]

Share = Annotated[float, Field(ge=0, le=1)]
Point = tuple[Share, Share]
"""x and y in shares of the frame's width and height, 0 to 1: right for any size that the camera has."""
Polygon = Annotated[list[Point], Field(min_length=3, max_length=64)]
MOST_POLYGONS = 32
"""Regions, or masks, of a camera."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$")]
Span = Annotated[str, Field(max_length=80)]
"""Days and times of day: "Mon-Fri 07:00-19:00", "Sat,Sun", "22:00-06:00"; local time."""


class Table(BaseModel):
    """A table of the configuration: no key but its own, and nothing changed once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)
