"""What the sources of the command line are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from helpers.pictures import encoded, quarters

from edge_lpr.cli.read.targets import find_all


def test_images_named_one_after_the_other_are_one_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("more").mkdir()
    for name in ("1.png", "2.png", "3.png", "more/4.png", "more/5.png"):
        Path(name).write_bytes(encoded(quarters(), "PNG"))
    Path("more/notes.txt").write_text("x", encoding="utf-8")
    told: list[str] = []
    left_out: list[tuple[str, Counter[str]]] = []
    found = find_all(
        ["1.png", "2.png", "more", "none.png", "3.png", "0"],
        told.append,
        lambda folder, counts: left_out.append((folder, counts)),
    )
    assert [(target.kind, target.label, len(target.paths)) for target in found] == [
        ("images", "2 images", 2),
        ("images", "more", 2),
        ("images", "3.png", 1),
        ("camera", "camera 0", 0),
    ]
    assert told == ["none.png: no such file or folder"]
    assert left_out == [("more", Counter({".txt": 1}))]
    assert find_all(["none.png"], told.append, lambda folder, counts: None) == []
