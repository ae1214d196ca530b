"""The tests that the documentation names as proof are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`([\w/]*?(?:test_\w+\.py)?)::(test_\w+)`")
TESTS = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "tests").rglob("test_*.py")}


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_every_test_that_a_page_names_is_there(page: str) -> None:
    lines = (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines()
    wrong = []
    for line in lines:
        file = ""  # a row names it once
        for named, test in NAMED.findall(line):
            file = named or file
            found = [path for name, path in TESTS.items() if f"/{name}".endswith(f"/{file}")]
            if not any(f"def {test}(" in path.read_text(encoding="utf-8") for path in found if file):
                wrong.append(f"{file}::{test}")
    assert wrong == []
