from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from edge_lpr.finetune.synthesis.render import __main__ as render


def test_contact_sheets_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "sheet.png")
    assert render.main(["--sheet", file, "--what", "plates"]) == 0
    assert cv2.imread(file).shape[1] == 4 * 378
    assert render.main(["--sheet", str(tmp_path / "no" / "sheet.png"), "--what", "plates"]) == 1
    assert capsys.readouterr().err.startswith(f"render: {tmp_path / 'no' / 'sheet.png'}: cannot be written")
    with pytest.raises(SystemExit) as stop:
        render.main(["--sheet", str(tmp_path / "sheet.xyz")])
    assert stop.value.code == 2


def test_bench_prints_a_rate_per_stream(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    short = render.bench
    monkeypatch.setattr(render, "bench", lambda: short(0.05))
    threads = cv2.getNumThreads()
    assert render.main(["--bench"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["crops", "scenes 640x640"]
    assert cv2.getNumThreads() == threads


def test_nothing_to_do_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert render.main([]) == 2
    assert capsys.readouterr().err == "render: nothing to do: give --bench, --sheet FILE, or both\n"
