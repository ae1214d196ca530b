"""The folder that a service keeps its events and pictures in: its alone, as long as it runs."""

from __future__ import annotations

import os
from pathlib import Path

from edge_lpr.errors import InputError, OutputError
from edge_lpr.io.atomic_io import create_folder
from edge_lpr.io.out_file import OutFile, output_error

__all__ = ["REGIONS", "DataFolder"]

REGIONS = "regions.json"
"""What was drawn on the page."""


class DataFolder:
    """Takes a data folder for this process, until it is closed or the process ends, however it ends.

    Args:
        path: The folder; made where it is missing.

    Attributes:
        path: The folder.

    Raises:
        InputError: Another service has it, or it cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        lock = path / "lock"
        try:
            create_folder(path)
            self._lock = OutFile(lock, "a")
        except BlockingIOError as e:
            raise InputError(
                f"{path}: another edge-lpr serve has this data folder; end that one, or give this one a "
                "folder of its own ([service] data)"
            ) from e
        except (OutputError, OSError) as e:
            told = output_error(lock, e) if isinstance(e, OSError) else e
            raise InputError(
                f"{told}; expected a folder that this user may write to, or may make: [service] data"
            ) from e
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n".encode())  # for people who look whose it is

    @property
    def database(self) -> Path:
        """The file of events."""
        return self.path / "events.db"

    @property
    def pictures(self) -> Path:
        """The folder of pictures."""
        return self.path / "pictures"

    @property
    def regions(self) -> Path:
        """What was drawn on the page."""
        return self.path / REGIONS

    def close(self) -> None:
        """Gives it back; may be called twice."""
        self._lock.close()
