"""The folder that a service keeps its events and pictures in: its alone, as long as it runs."""

from __future__ import annotations

import os
from pathlib import Path

from edge_lpr.errors import OutputError
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
        OutputError: Another service has it, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        create_folder(path)
        lock = path / "lock"
        try:
            self._lock = OutFile(lock, "a")
        except BlockingIOError as e:
            raise OutputError(
                f"{path}: another edge-lpr serve has this data folder; end that one, or give this one a "
                "folder of its own ([service] data)"
            ) from e
        except OSError as e:
            raise output_error(lock, e) from e
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
