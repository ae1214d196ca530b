"""Whatever operation on the disk fails: the old file or the new one is there, whole, and somebody is told."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import pytest
from helpers.failing_disk import FailingDisk, failing_disks, parts_in
from helpers.videos import frames_in

from edge_lpr.errors import OutputError
from edge_lpr.io import recording
from edge_lpr.io.frames import Source
from edge_lpr.io.recording import RecordingSettings
from edge_lpr.io.sources import Target
from edge_lpr.outputs import RunInfo, RunOutputs
from edge_lpr.pipeline.stream import FrameResult

Make = Callable[..., Any]
OLD = b"older, whole"
FRAMES = 4


@pytest.fixture(params=[False, True], ids=["one operation fails", "all that follow fail"])
def lasting(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def whole(path: Path) -> bool:
    """Whether a new file holds all that the run gave."""
    if path.suffix == ".jsonl":
        return len([json.loads(line) for line in path.read_text("utf-8").splitlines()]) == FRAMES
    if path.suffix == ".csv":
        rows = list(csv.reader(path.read_text("utf-8-sig").splitlines()))
        return len(rows) == FRAMES + 1 and len({len(row) for row in rows}) == 1
    if path.suffix == ".png":
        return cv2.imread(str(path)) is not None
    return frames_in(path) == FRAMES


def attempt(requested: dict[str, str], run: RunInfo, given: Sequence[FrameResult]) -> tuple[bool, str]:
    """Runs outputs; returns whether one failed, and all that was said."""
    said: list[str] = []
    try:
        with RunOutputs(requested, run, said.append) as outputs:
            for found in given:
                outputs.write(found)
    except OutputError as e:
        return True, "\n".join([*said, str(e)])
    return outputs.failed, "\n".join(said)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("jsonl", "o.jsonl"),
        ("csv", "o.csv"),
        ("save", "o.mp4"),
        ("save", "o.mkv"),
        ("save", "o.avi"),
    ],
)
def test_files_of_a_run_over_a_video(
    name: str, file: str, lasting: bool, tmp_path: Path, an_event: Make, a_source: Make, a_frame: Make
) -> None:
    out = tmp_path / file
    source = a_source("street.mp4")
    given = [FrameResult(source, a_frame(i, i / 25), [], [an_event(track=i)], True) for i in range(FRAMES)]
    given.append(FrameResult(source, None, [], [], True))
    run = RunInfo([Target("video", "street.mp4", (Path("street.mp4"),))])
    for disk in failing_disks(lasting):
        out.write_bytes(OLD)
        with disk:
            failed, said = attempt({name: str(out)}, run, given)
        assert (out.read_bytes() == OLD) or whole(out)
        check_told(disk, out, failed, said, tmp_path)
    assert whole(out)


def check_told(disk: FailingDisk, out: Path, failed: bool, said: str, folder: Path) -> None:
    """Checks that an error is told in a line, and that it names all that is left beside."""
    left = parts_in(folder)
    if out.read_bytes() == OLD:
        assert failed and str(out) in said
    if disk.failed and failed:
        assert said.count("\n") == 0, said
    assert failed == bool(disk.failed) and all(str(part) in said for part in left)
    for part in left:
        part.unlink()


def test_images_and_crops(
    lasting: bool, tmp_path: Path, an_event: Make, a_read: Make, a_source: Make, a_frame: Make
) -> None:
    source = a_source("in", is_image=True)
    given = [FrameResult(source, a_frame(i, None, f"{i}.png"), [a_read()], [], False) for i in range(FRAMES)]
    old, new = cv2.imencode(".png", a_frame().image[:9])[1].tobytes(), None
    for disk in failing_disks(lasting):
        for folder in ("crops", "out"):
            shutil.rmtree(tmp_path / folder, ignore_errors=True)
            (tmp_path / folder).mkdir()
        (tmp_path / "out" / "0.png").write_bytes(old)
        (tmp_path / "crops" / "0-000000-皖A13H25.png").write_bytes(old)
        requested = {"crops": str(tmp_path / "crops"), "save": str(tmp_path / "out")}
        with disk:
            failed, said = attempt(requested, RunInfo(), given)
        left = parts_in(tmp_path)
        assert failed == bool(disk.failed) and all(str(part) in said for part in left)
        for folder in ("crops", "out"):
            written = [p for p in (tmp_path / folder).iterdir() if p not in left]
            assert written and all(whole(path) for path in written)
        new = [p for f in ("crops", "out") for p in (tmp_path / f).iterdir() if p.read_bytes() != old]
    assert new is not None and len(new) == 2 * FRAMES


@pytest.mark.parametrize(("name", "file"), [("jsonl", "o.jsonl"), ("csv", "o.csv")])
def test_lines_of_a_live_run(
    name: str, file: str, lasting: bool, tmp_path: Path, an_event: Make, a_source: Make
) -> None:
    out = tmp_path / file
    source = a_source("camera 0", started=1_700_000_000.0, live=True)
    given = [FrameResult(source, None, [], [an_event(track=i)], True) for i in range(FRAMES)]
    run = RunInfo(live=True)
    assert attempt({name: str(out)}, run, given) == (False, "")
    old = out.read_bytes()
    for disk in failing_disks(lasting):
        out.write_bytes(old)
        with disk:
            failed, said = attempt({name: str(out)}, run, given)
        assert out.read_bytes().startswith(old) and not parts_in(tmp_path)
        # What a closing file says is of no weight: all of it was on the disk before.
        assert failed or set(disk.failed) <= {"close", "flush"}
        counted = [int(number) for number in re.findall(r"(\d+) results were lost", said)]
        added = lines_of(out, name) - FRAMES
        if counted or not failed:
            # A line whose writing failed is counted, be it there or not: it could not be taken back either.
            assert sum(counted) + added == FRAMES if not lasting else sum(counted) + added >= FRAMES
        assert attempt({name: str(out)}, run, given)[0] is False  # the next run puts in order what is torn
        assert lines_of(out, name) == 2 * FRAMES + added and out.read_bytes().endswith(b"\n")


def lines_of(path: Path, name: str) -> int:
    """Counts the whole lines, and sees that only the last one is torn."""
    end = "\n" if name == "jsonl" else "\r\n"
    *lines, _ = path.read_bytes().decode("utf-8-sig").split(end)
    if name == "jsonl":
        return len([json.loads(line) for line in lines])
    rows = list(csv.reader(lines))
    assert len({len(row) for row in rows}) == 1
    return len(rows) - 1


def test_recordings_of_a_camera(
    lasting: bool, tmp_path: Path, a_source: Make, a_frame: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "RETRY_SECONDS", 0.0)
    source: Source = a_source("camera 0", started=1_700_000_000.0, live=True)
    given = [FrameResult(source, a_frame(i, i / 2), [], [], True) for i in range(6)]
    run = RunInfo(live=True, recording=RecordingSettings(save_minutes=0.05))
    for disk in failing_disks(lasting):
        folder = tmp_path / "out"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        before = folder / "camera_0-20231114T221320Z.mp4"
        before.write_bytes(OLD)
        with disk:
            failed, said = attempt({"save": str(folder)}, run, given)
        assert before.read_bytes() == OLD and failed == bool(disk.failed)
        found = sum(frames_in(path) for path in folder.iterdir() if path != before)
        if not lasting:  # a fragment may be lost, and what comes later is there
            assert found >= 3, said
        assert not parts_in(folder)
    assert found == 6
