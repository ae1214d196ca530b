"""A report that can be given away: it tells what was measured, and neither names of images nor plates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_lpr.counting import counted
from edge_lpr.datasets.content import content_name

__all__ = ["anonymous"]

_MASK = "·"


def anonymous(report: Mapping[str, Any], *, texts: bool = True) -> dict[str, Any]:
    """Takes the names and plates out of a report.

    Args:
        report: What `Evaluation.to_json` returned, or a file of it; `problems` may hold labels' too.
        texts: Whether `found` of the misses is texts of plates, as it is but for detection, which tells
            numbers of boxes.

    Returns:
        The same; images are called by `content_name`, each character of a plate is "·", and of the problems
        there is the number alone.

    Raises:
        OSError: An image cannot be read any more.
    """
    told = dict(report)
    told["misses"] = [_masked(miss, texts) for miss in report["misses"]]
    skipped = len(report["problems"])
    told["problems"] = (
        [f"{counted(skipped, 'images or labels', 'image or label')} skipped"] if skipped else []
    )
    return told


def _masked(miss: Mapping[str, Any], texts: bool) -> dict[str, Any]:
    image = str(miss["image"])
    name = content_name(Path(image))
    masked = {**miss, "image": name, "item": name + str(miss["item"]).removeprefix(image)}
    masked["expected"] = [_MASK * len(text) for text in miss["expected"]]
    if texts:
        masked["found"] = [_MASK * len(text) for text in miss["found"]]
    return masked
