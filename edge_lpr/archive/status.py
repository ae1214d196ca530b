"""How far an archive is: what `edge-lpr archive --status` prints."""

from __future__ import annotations

from typing import Any

from edge_lpr.archive.store import Store
from edge_lpr.archive.units import Failure

__all__ = ["status_of"]


def status_of(store: Store) -> dict[str, Any]:
    """Returns how far an archive is, as plain Python values.

    Raises:
        InputError: There is none.
    """
    plan, units = store.read_plan()
    done = store.done(units)
    videos = {unit.video for unit in units if unit.video}
    joined = {path.stem for path in store.folder.glob("day=*/*.parquet")} & videos - store.marked()
    failures = store.failures.gathered([Failure.from_dict(one) for one in plan["failures"]])
    size = store.bytes()
    left = [unit for unit in units if unit.id not in done]
    return {
        "folder": str(store.folder),
        "state": "done" if not left and joined == videos else "unfinished",
        "units": len(units),
        "units_done": len(done),
        "pictures": sum(unit.frames for unit in units if not unit.video),
        "pictures_done": sum(unit.frames for unit in units if not unit.video and unit.id in done),
        "videos": len(videos),
        "videos_done": len(joined),
        "frames": sum(unit.frames for unit in units if unit.video),
        "frames_done": sum(unit.frames for unit in units if unit.video and unit.id in done),
        "rows": store.rows(),
        "row_bytes": size["rows"],
        "failures": len(failures),
    }
