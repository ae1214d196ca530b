"""The day of a source: the partition that its rows lie in."""

from __future__ import annotations

import re
from datetime import date, datetime, timezone

from edge_lpr.archive.units import NO_DAY, SourceFile

__all__ = ["day_of"]

# 2026-11-27, 2026/11/27, 20261127 and 20261127181502; not a part of a longer number.
_DATE = re.compile(r"(?<!\d)(20\d\d)([-_./]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?:\d{6})?(?!\d)")


def day_of(file: SourceFile) -> str:
    """Returns the day of a source: the last date in its path, else that of its last change (UTC).

    A copied archive has new times, and keeps the names that its cameras gave.
    """
    for found in reversed(list(_DATE.finditer(file.address))):
        try:
            return date(int(found[1]), int(found[3]), int(found[4])).isoformat()
        except ValueError:  # the 31st of a month that has 30 days
            continue
    if file.modified is None:
        return NO_DAY
    try:
        return datetime.fromtimestamp(file.modified, timezone.utc).date().isoformat()
    except (ValueError, OverflowError, OSError):  # a clock that was set wrong: no year that there is
        return NO_DAY
