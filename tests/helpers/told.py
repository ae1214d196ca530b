"""What an output of files took of a service, and whether it is whole."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

__all__ = ["are_whole", "told"]


def told(folder: Path) -> dict[str, list[tuple[str, int]]]:
    """State and revision of all records that an output took, by passage; one may be being written."""
    found = defaultdict(list)
    for path in sorted((folder / "told").glob("*.jsonl")):
        for line in path.read_bytes().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            one = json.loads(line)
            found[one["id"]].append((one["state"], one["revision"]))
    return found


def are_whole(passages: dict[str, list[tuple[str, int]]]) -> bool:
    """Tells whether each passage was told from new to end, each record once and in order."""
    for records in passages.values():
        states = [state for state, _ in records]
        if [revision for _, revision in records] != list(range(1, len(records) + 1)):
            return False
        if states != ["new", *["update"] * (len(states) - 2), "end"]:
            return False
    return True
