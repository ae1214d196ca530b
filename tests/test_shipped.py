"""What goes out: a source distribution with all that a clone has, and no names of the development data."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.clones import ROOT, needs_setuptools, run

from edge_lpr._checkout import STAGES
from edge_lpr.benchmarks.films import FILMS
from edge_lpr.bundle.manifest import bundled
from edge_lpr.io.sniff import IMAGE_SUFFIXES
from edge_lpr.plates.characters import PROVINCES

PLATE = re.compile(rf"[{PROVINCES}][A-Z][A-Z0-9]{{4,6}}")
SAMPLE_PLATES = {
    plate["text"]
    for sample in json.loads((ROOT / "samples" / "street.json").read_text(encoding="utf-8")).values()
    for plate in sample["plates"]
}


def texts(node: object) -> Iterator[str]:
    """All texts of a JSON value, keys among them."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield str(key)
            yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)
    elif isinstance(node, str):
        yield node


@pytest.mark.parametrize("folder", [bundled(), ROOT / "benchmarks" / "results"], ids=["bundle", "results"])
def test_no_report_that_ships_names_an_image_or_a_plate(folder: Path) -> None:
    found = [text for path in folder.glob("*.json") for text in texts(json.loads(path.read_bytes()))]
    assert len(found) > 100
    assert [t for t in found if t.lower().endswith(tuple(IMAGE_SUFFIXES))] == []
    drawn = SAMPLE_PLATES | {vehicle.plate.text for film in FILMS.values() for vehicle in film.vehicles}
    assert [t for t in found if PLATE.search(t) and t not in drawn] == []


def test_no_page_names_a_plate_but_those_of_the_samples() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]:
        named = set(PLATE.findall(page.read_text(encoding="utf-8")))
        # Formats are shown on numbers that nobody takes for one of the data's.
        assert {plate for plate in named if "1234" not in plate} <= SAMPLE_PLATES, page.name


def test_the_source_distribution_has_what_a_clone_has(tmp_path: Path) -> None:
    needs_setuptools(sys.executable)
    setup = "import setuptools; setuptools.setup()"
    code, told = run(sys.executable, "-c", setup, "-q", "egg_info", "--egg-base", str(tmp_path), cwd=ROOT)
    assert code == 0, told
    (listed,) = tmp_path.glob("*.egg-info/SOURCES.txt")
    packed = set(listed.read_text(encoding="utf-8").splitlines())
    there = {
        path.relative_to(ROOT).as_posix()
        for top in ("samples", "tests", "docs", "edge_lpr", *STAGES)
        for path in (ROOT / top).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert len(there) > 300
    assert there - packed == set()
    pages = {"README.md", "README.zh.md", "CHANGELOG.md", "LICENSE", "NOTICE"}
    assert packed >= pages | {"constraints.txt", "pyproject.toml", "MANIFEST.in", ".ci/run"}
