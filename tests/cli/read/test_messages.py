"""What a run tells, and what `--quiet` leaves of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.pictures import encoded
from helpers.terminal import Terminal
from helpers.videos import write_video
from helpers.waiting import LONG
from numpy.typing import NDArray

from edge_lpr.cli import main
from edge_lpr.cli.read.messages import Messages
from edge_lpr.console.log_level import at_level

FAST = ["--det-limit-side-len", "256", "--det-limit-type", "max", "--threads", "1"]


@pytest.mark.parametrize(
    ("quiet", "level", "told"),
    [
        (False, "info", ["note", "warning", "error"]),
        (True, "info", ["warning", "error"]),
        (True, "debug", ["warning", "error"]),
        (False, "warning", ["warning", "error"]),
        (True, "error", ["error"]),
    ],
)
def test_what_is_told(quiet: bool, level: str, told: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    messages = Messages(quiet)
    with at_level(level), messages.progress("a.mp4", 3):
        messages.note("note")
        messages.warn("warning")
        messages.fail("error")
        messages.clear()
    assert capsys.readouterr().err.splitlines() == [f"edge-lpr: {line}" for line in told]
    assert not messages.to_a_person


def test_who_sees_them_at_once_is_told_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    assert Messages(quiet=False).to_a_person
    assert not Messages(quiet=True).to_a_person
    with at_level("warning"):
        assert not Messages(quiet=False).to_a_person


def test_quiet_leaves_out_every_note_and_tells_every_error(
    plate_scene: Callable[..., NDArray[np.uint8]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("mixed")
    folder.mkdir()
    (folder / "1.ppm").write_bytes(encoded(plate_scene(), "PPM"))
    (folder / "2.png").write_bytes(b"no image")
    (folder / "3.txt").write_text("x", encoding="utf-8")
    cv2.imwrite(str(folder / "4.webp"), plate_scene())
    write_video(Path("clip.avi"), 3)
    Path("list.txt").write_text("file clip.avi\n", encoding="utf-8")
    sources = ["mixed", "list.txt", "none.mp4", "rtsp://u:secret@127.0.0.1:1/x"]
    sources += ["--reconnect", "0", "--timeout", str(LONG)]
    notes = [
        "edge-lpr: mixed: left out: 1 .txt",
        "edge-lpr: --save: .ppm is written as .png, and so are all such",
        "edge-lpr: list.txt: a playlist of 1 file, read as one video",
    ]
    assert main([*sources, "--save", "loud", *FAST]) == 2
    loud = capsys.readouterr().err.splitlines()
    assert main([*sources, "--save", "quiet", "--quiet", *FAST]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.splitlines() == [line for line in loud if line not in notes]
    assert set(notes) < set(loud) and len(loud) == len(notes) + 3
    for named in ("2.png: not an image", "none.mp4: no such file", "rtsp://***@127.0.0.1:1/x: cannot be"):
        assert named in captured.err
