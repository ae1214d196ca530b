"""What the tests of engines share: a bundle whose sizes are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_lpr.bundle.manifest import Bundle, load_bundle


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """The default bundle with size rules of our own: its own may change."""
    found = load_bundle()
    rules = {"stride": 32, "limit_side_len": 736, "limit_type": "min", "max_side_len": 1600}
    return replace(found, det=replace(found.det, **rules))  # type: ignore[arg-type]
