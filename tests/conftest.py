"""What all tests share: where the real plates lie, where they do."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real plates; skips where there is none, as in a fresh clone."""
    if not (SHARED / "plates.csv").is_file():
        pytest.skip("needs the real plates of ../shared/data, which are not part of the repository")
    return SHARED
