"""The atlases that ship are what the script makes, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.extras import reason

pytest.importorskip("fontTools", reason=reason("fontTools", "finetune"))
pytest.importorskip("PIL", reason=reason("PIL", "test"))

from edge_lpr.errors import OutputError
from edge_lpr.finetune.synthesis import glyphs


def test_the_committed_label_atlas_is_what_the_script_makes(tmp_path: Path) -> None:
    sheet, metrics = glyphs.label_atlas(glyphs.DRAW_ASSETS / "labels.otf")
    glyphs.write_atlas(tmp_path, sheet, metrics)
    committed = glyphs.DRAW_ASSETS / "glyphs.json"
    assert (tmp_path / "glyphs.json").read_text(encoding="utf-8") == committed.read_text(encoding="utf-8")
    old = cv2.imread(str(glyphs.DRAW_ASSETS / "glyphs.png"), cv2.IMREAD_GRAYSCALE)
    # Another FreeType may round coverage a little otherwise.
    assert np.abs(old.astype(int) - sheet).mean() < 1.0


def test_the_committed_plate_atlas_is_what_the_script_makes() -> None:
    fonts = {p.stem.removesuffix("-thin"): p for p in sorted(glyphs.PLATE_ASSETS.glob("*-thin.?tf"))}
    sheet, _ = glyphs.plate_atlas(fonts)
    old = cv2.imread(str(glyphs.PLATE_ASSETS / "glyphs.png"), cv2.IMREAD_GRAYSCALE)
    assert old.shape == sheet.shape
    assert np.abs(old.astype(int) - sheet).mean() < 1.0


def test_a_subset_keeps_the_characters_and_takes_a_new_name(tmp_path: Path) -> None:
    from fontTools.ttLib import TTFont

    out = tmp_path / "small.otf"
    glyphs.cut_subset(glyphs.PLATE_ASSETS / "hei-thin.otf", "皖苏", out, "Test Family")
    font = TTFont(str(out))
    assert set(font.getBestCmap()) == {ord("皖"), ord("苏")}
    assert font["name"].getDebugName(1) == "Test Family"
    assert "Adobe" in font["name"].getDebugName(0)


def test_what_is_no_font_or_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.otf").write_bytes(b"no font")
    font = tmp_path / "thin.otf"
    font.write_bytes((glyphs.PLATE_ASSETS / "hei-thin.otf").read_bytes())
    for source in ("a.otf", "none.otf", "none.ttc"):
        words = ["--noto-thin", str(font), "--noto-medium", str(tmp_path / source)]
        assert glyphs.main(["subset", *words]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"glyphs: {tmp_path / source}: cannot be read as a font")
        assert error.count("\n") == 1
    with pytest.raises(OutputError, match=r"s\.otf: cannot be written"):
        glyphs.cut_subset(font, "皖", tmp_path / "no" / "s.otf", "Test Family")
    with pytest.raises(OutputError, match=r"glyphs\.png: cannot be written"):
        glyphs.write_atlas(tmp_path / "no", np.zeros((2, 2), np.uint8), {})


def test_a_font_without_a_name_is_refused_before_any_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    font = str(glyphs.PLATE_ASSETS / "hei-thin.otf")
    for name in ("DRAW_ASSETS", "PLATE_ASSETS"):
        monkeypatch.setattr(glyphs, name, tmp_path)
    assert glyphs.main(["subset", "--noto-thin", font, "--noto-medium", font, "--latin", "thin.woff2"]) == 2
    assert capsys.readouterr().err == "glyphs: --latin thin.woff2: expected NAME=FILE\n"
    assert list(tmp_path.iterdir()) == []


def test_no_subset_bears_a_reserved_name() -> None:
    from fontTools.ttLib import TTFont

    for path in [*glyphs.PLATE_ASSETS.glob("*.?tf"), *glyphs.DRAW_ASSETS.glob("*.?tf")]:
        names = {
            font_name.toUnicode()
            for font_name in TTFont(str(path))["name"].names
            if font_name.nameID in (1, 4, 6)
        }
        assert names
        assert all(name.startswith(("Edge LPR", "EdgeLPR")) for name in names), path.name
