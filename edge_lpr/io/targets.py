"""One thing to open, found in what a user named."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge_lpr.io.playlist import Playlist
from edge_lpr.io.standard_input import STDIN

__all__ = ["Kind", "Target"]

_STDIN_FILE = Path("/dev/stdin")  # what was sent there (``< file``), where the system has that name
Kind = Literal["images", "video", "camera", "address", "pipeline"]


@dataclass(frozen=True)
class Target:
    """One thing to open, found in what the user typed.

    Attributes:
        kind: "images", "video", "camera", "address" or "pipeline".
        label: What to call it: its name, or what is shown of its address; never holds a secret.
        paths: The files of "images" and "video".
        address: What is opened for the other kinds; may hold secrets. "-" is standard input.
        root: The folder that names of results are relative to, where a folder or glob was given.
        named: Whether it was given its label as a name.
        loop: Whether a video that is played as a camera begins again at its end.
        playlist: What the file in `paths` names, where it is a playlist.
    """

    kind: Kind
    label: str
    paths: tuple[Path, ...] = ()
    address: str = field(default="", repr=False)
    root: Path | None = None
    named: bool = False
    loop: bool = False
    playlist: Playlist | None = None

    @property
    def read(self) -> tuple[Path, ...]:
        """Returns all files that are read."""
        named = () if self.playlist is None else self.playlist.files
        return (*self.paths, *named, *((_STDIN_FILE,) if self.address == STDIN else ()))

    @property
    def live(self) -> bool:
        """Whether it may have no end."""
        return self.kind in ("camera", "address", "pipeline")
