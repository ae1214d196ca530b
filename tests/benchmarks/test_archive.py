"""What is computed on paper of an archive, and that the page says what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_lpr.benchmarks import archive
from edge_lpr.benchmarks.films import Film

MIDDLE = {
    "archive_cpu_seconds": 0.1,
    "decode_cpu_seconds": 0.005,
    "row_bytes_per_picture": 50.0,
    "plan_bytes_per_picture": 100.0,
}


def test_what_an_archive_takes_follows_from_what_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = {"picture_bytes": 100_000, "median": MIDDLE}
    sized = archive.sizing(measured, pictures=3.6e6, hours=100, fps=10)
    assert sized["images"] == 7.2e6 and sized["core_hours"] == pytest.approx(200)
    assert sized["decoding_core_hours"] == pytest.approx(10)
    assert sized["plan_gigabytes"] == pytest.approx(0.36)
    assert sized["read_terabytes"] == pytest.approx(0.36) and sized["row_gigabytes"] == pytest.approx(0.36)
    assert sized["read_megabytes_per_second_on_1000_cores"] == pytest.approx(1000)
    path = tmp_path / "archive.json"
    path.write_text(json.dumps(measured), "utf-8")
    assert archive.main(["--from", str(path), "--pictures", "3.6e6"]) == 0
    assert "100.0" in capsys.readouterr().out
    for text in ("{}", "[", "[]"):
        path.write_text(text, "utf-8")
        assert archive.main(["--from", str(path)]) == 2
        assert "not written by this command" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--copies", "0"], ["--block", "-1"]])
def test_nothing_is_measured_of_nothing(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert archive.main(words) == 2
    assert f"{' '.join(words)}: must be an integer ≥ 1" in capsys.readouterr().err


def test_rates_need_two_units(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Film("", (), 0.3, 10).write(tmp_path / "short.mp4")
    words = ["--video", str(tmp_path / "short.mp4"), "--copies", "1"]
    assert archive.main(words) == 2
    assert "--block 8: all 3 pictures are one unit" in capsys.readouterr().err


def test_the_page_says_what_was_measured() -> None:
    root = Path(__file__).parents[2]
    measured = json.loads((root / "benchmarks" / "results" / "archive.json").read_text("utf-8"))
    page = (root / "docs" / "scale.md").read_text("utf-8")
    for name in ("plain_cpu_seconds", "archive_cpu_seconds"):
        assert f"{measured['median'][name]} s" in page, name
    sized = archive.sizing(measured, 1e9, 0, 25)
    assert f"| hours of a core | {sized['core_hours']:,.0f} |" in page
    for name, value in sized.items():
        if name not in ("images", "core_hours", "units_of_500"):
            assert f"| {value:,.1f} |" in page, (name, value)
