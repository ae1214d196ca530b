"""Recordings of cameras: one video after the other, none lost, none replaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.videos import frames_in

from edge_lpr.errors import OutputError, SettingError
from edge_lpr.io import recording
from edge_lpr.io.recording import Recording, RecordingSettings


def record(folder: Path, seconds: list[float], limits: RecordingSettings, scale: int = 1) -> None:
    rng = np.random.default_rng(0)
    made = Recording(lambda at: folder / f"{at:03.0f}.mp4", 10, limits, print)
    for at in seconds:
        made.write(rng.integers(0, 256, (48 * scale, 64 * scale, 3), dtype=np.uint8), at)
    made.close()
    made.close()


def counts(folder: Path) -> dict[str, int]:
    return {path.name: frames_in(path) for path in sorted(folder.iterdir())}


def test_a_video_is_followed_by_the_next_one_after_some_minutes(tmp_path: Path) -> None:
    record(tmp_path, [float(s) for s in range(0, 200, 10)], RecordingSettings(save_minutes=1))
    assert counts(tmp_path) == {"000.mp4": 6, "060.mp4": 6, "120.mp4": 6, "180.mp4": 2}


def test_or_once_it_is_large(tmp_path: Path) -> None:
    record(tmp_path, [s / 2 for s in range(40)], RecordingSettings(save_mb=1), scale=5)
    found = counts(tmp_path)
    assert sum(found.values()) == 40 and len(found) > 1
    assert all(path.stat().st_size < 1.5e6 for path in tmp_path.iterdir())


def test_what_is_there_is_not_replaced(tmp_path: Path) -> None:
    for name in ("000.mp4", "000-2.mp4"):
        (tmp_path / name).write_text("older")
    record(tmp_path, [0.0, 0.1], RecordingSettings())
    assert frames_in(tmp_path / "000-3.mp4") == 2
    assert {(tmp_path / name).read_text() for name in ("000.mp4", "000-2.mp4")} == {"older"}


def test_a_video_that_is_deleted_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "LOOK_SECONDS", 0.0)
    warnings: list[str] = []
    made = Recording(lambda at: tmp_path / f"{at:.0f}.mp4", 10, RecordingSettings(), warnings.append)
    for at in range(6):
        made.write(np.zeros((48, 64, 3), np.uint8), at)
        if at == 2:
            (tmp_path / "0.mp4").unlink()
    made.close()
    assert counts(tmp_path) == {"3.mp4": 3}
    assert warnings == [f"{tmp_path / '0.mp4'}: was deleted or moved away; a new video is begun"]


def test_after_an_error_a_new_video_is_begun_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(recording.time, "monotonic", lambda: clock[0])
    folder = tmp_path / "out"
    made = Recording(lambda at: folder / f"{at:.0f}.mp4", 10, RecordingSettings(), print)
    image = np.zeros((48, 64, 3), np.uint8)
    for clock[0] in (100.0, 105.0, 109.9):
        with pytest.raises(OutputError, match="there is no folder"):
            made.write(image, clock[0])
        folder.mkdir(exist_ok=True)
    clock[0] = 110.0
    made.write(image, clock[0])
    made.close()
    assert counts(folder) == {"110.mp4": 1}


@pytest.mark.parametrize("wrong", [{"save_minutes": 0}, {"save_mb": 0.5}, {"save_minutes": float("nan")}])
def test_limits_have_a_range(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingError, match="expected a number"):
        RecordingSettings(**wrong)
