"""What a test is skipped for: `pytest.importorskip("torch", reason=reason("torch", "finetune"))`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable


def reason(module: str, extra: str) -> str:
    """Says that a module of an extra is missing, in words that `told_apart` knows."""
    return f"needs {module} of the extra '{extra}'"


def told_apart(reasons: Iterable[str]) -> str:
    """Words any number of reasons in one line: how many tests and modules want which extra."""
    extras = [found[1] if (found := re.search(r"of the extra '(\w+)'", r)) else "" for r in reasons]
    counts = Counter(extras)
    others = counts.pop("", 0)
    parts = [f"{n} for want of the extra {name}" for name, n in sorted(counts.items())]
    return ", ".join([*parts, *([f"{others} for other reasons"] if others else [])])
