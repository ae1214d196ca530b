"""What runs that were killed left half written."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from edge_lpr.cli.doctor.check import Check
from edge_lpr.environment import cache_folder

__all__ = ["leftover_checks"]

_ADVICE = "of a run that was killed: give it a name where it is of use, else delete it"


def leftover_checks(folders: list[Path]) -> list[Check]:
    """What runs that were killed left half written."""
    from edge_lpr.backends.tensorrt.engine_folder import engines_folder
    from edge_lpr.io.leftovers import find_leftovers

    found = list(find_leftovers([*folders, cache_folder("calibrate"), engines_folder()]))
    if not found:
        where = ", ".join(str(folder) for folder in folders)
        return [Check("files", "left over", "ok", f"nothing by a run that was killed, in {where}")]
    return [
        Check(
            "files",
            "left over",
            "left over",
            f"{part.path} ({part.size / 1e6:.1f} MB, {datetime.fromtimestamp(part.modified):%Y-%m-%d %H:%M})",
            _ADVICE if part.certain else f"if no run is writing it: {_ADVICE}",
        )
        for part in found
    ]
