"""`edge-lpr dataset` as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.ccpd import make_image, write_ccpd

from edge_lpr.cli import main
from edge_lpr.cli.dataset import SHOWN


@pytest.fixture
def ccpd(tmp_path: Path) -> Path:
    return write_ccpd(tmp_path / "ccpd")


def test_command(ccpd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_image(ccpd / "bad-name.jpg")
    assert main(["dataset", "ccpd", str(ccpd), "--out", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    assert "4 images, 3 plates; 1 skipped" in captured.out
    assert "skipped: bad-name.jpg: 2 fields" in captured.err
    assert main(["dataset", "ccpd", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 2
    assert main(["dataset", "ccpd", str(ccpd), "--out", str(tmp_path / "out"), "--workers", "0"]) == 2


def test_a_second_run_says_what_was_there(
    ccpd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["dataset", "ccpd", str(ccpd), "--out", str(tmp_path / "out"), "--workers", "1"]
    assert main(arguments) == 0
    assert "from an earlier run" not in capsys.readouterr().out
    assert main(arguments) == 0
    assert "4 images, 3 plates, 4 of them from an earlier run; 0 skipped" in capsys.readouterr().out


def test_an_image_that_cannot_be_read_is_told_by_the_exit_code(
    ccpd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = next(path for path in sorted(ccpd.rglob("*.jpg")) if "ccpd_np" not in path.parts)
    damaged.write_bytes(damaged.read_bytes()[:200])
    assert main(["dataset", "ccpd", str(ccpd), "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert "3 images, 2 plates; 1 skipped" in captured.out
    assert f"skipped: {damaged.relative_to(ccpd)}: cut short" in captured.err


def test_few_of_the_skipped_are_shown(ccpd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(SHOWN + 2):
        make_image(ccpd / f"bad-{i}.jpg")
    assert main(["dataset", "ccpd", str(ccpd), "--out", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("skipped: bad-") == SHOWN
    assert f"skipped: 2 more, listed in {tmp_path / 'out' / 'skipped.txt'}" in captured.err
