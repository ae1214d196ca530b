"""The bundle and images that calibrations are tested on."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.tiny_bundle import write_bundle, write_data


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "data")
