"""Units read in this process: the rows of pictures and videos are those of the plain command."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from helpers.extras import reason
from helpers.reads import read

pytest.importorskip("pyarrow", reason=reason("pyarrow", "scale"))
pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))

from edge_lpr.archive.failures import Failures
from edge_lpr.archive.job import Job
from edge_lpr.archive.run import ArchiveRun
from edge_lpr.archive.schema import COLUMNS
from edge_lpr.archive.segment_source import SegmentSource
from edge_lpr.archive.segments import RecordedStream
from edge_lpr.archive.settings import ReaderSettings
from edge_lpr.archive.status import status_of
from edge_lpr.archive.store import Store
from edge_lpr.archive.units import Failure, Unit
from edge_lpr.archive.worker import Orders, Worker
from edge_lpr.errors import InputError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.frames import Frame
from edge_lpr.io.image_io import decode_image
from edge_lpr.io.sources import find_targets, open_source
from edge_lpr.outputs.records import FIELDS, results, to_record
from edge_lpr.pipeline.look_back import Done, Found
from edge_lpr.pipeline.looks import Look, Seen
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.stream import Stream

from .conftest import SMALL, Rows, begin, read_here, rows_of

STREET = Path(__file__).parents[2] / "samples" / "street.mp4"
OWN = ("unit", "image", "day")


def plain(source: Path, stride: int = 1, **settings: Any) -> list[dict[str, Any]]:
    """What the plain command gives of a source."""
    given = {**SMALL, **settings}
    found = []
    with PlateReader(precision="fp32", threads=1, settings=given) as reader:
        for target in find_targets(source):
            with open_source(target, CaptureOptions(stride=stride), lambda line: None) as opened:
                stream = Stream(reader, opened)
                for step in [*stream, stream.flush()]:
                    found += [to_record(result) for result in results(step)]
    return sorted(found, key=lambda row: (row["source"], row["first_frame"], row["track"] or 0, row["text"]))


def fields(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in OWN} for row in rows]


def test_rows_of_pictures_are_the_plain_commands(tmp_path: Path, pictures: Path) -> None:
    rows = read_here(tmp_path / "out", pictures, block=3)
    assert fields(rows) == plain(pictures) and len(rows) == 6
    assert {str(row["day"]) for row in rows if "2026-11-26" in row["source"]} == {"2026-11-26"}
    lines = Store(tmp_path / "out").failures.list.read_text("utf-8").splitlines()
    failures = [json.loads(line) for line in lines]
    assert sorted(Path(one["source"]).name for one in failures) == ["2.jpg", "5.jpg"]
    assert all("damaged or cut short" in one["reason"] and not one["partly"] for one in failures)


@pytest.mark.parametrize(("segment", "stride"), [(0.0, 1), (1.9, 3)])
def test_events_of_a_video_in_parts_are_those_of_one_run(tmp_path: Path, segment: float, stride: int) -> None:
    whole = plain(STREET, stride, gate="off")
    rows = read_here(tmp_path / "out", STREET, segment=segment, stride=stride, settings={"gate": "off"})
    assert fields(rows) == whole and len(rows) >= 3
    cuts = [unit.segment.first for unit in Store(tmp_path / "out").read_plan()[1] if unit.segment is not None]
    assert len(cuts) >= 4
    assert any(row["first_frame"] < cut <= row["last_frame"] for row in rows for cut in cuts)


def test_with_the_gate_vehicles_are_the_same_and_times_a_look_apart(tmp_path: Path) -> None:
    whole = plain(STREET, gate="auto")
    rows = read_here(tmp_path / "out", STREET, segment=1.0, settings={"gate": "auto"})
    assert Counter(row["text"] for row in rows) == Counter(row["text"] for row in whole)
    by_text = {row["text"]: row for row in whole}
    for row in rows:
        assert abs(row["first_seen"] - by_text[row["text"]]["first_seen"]) <= 0.5
        assert abs(row["last_seen"] - by_text[row["text"]]["last_seen"]) <= 0.5
    again = read_here(tmp_path / "again", STREET, segment=1.0, seed=2, settings={"gate": "auto"})
    assert again == rows


def test_what_looking_back_finds_in_the_newest_frame_is_of_that_frame(tmp_path: Path) -> None:
    _, (unit,), _ = begin(tmp_path / "out", STREET)
    assert unit.segment is not None
    with (
        PlateReader(precision="fp32", threads=1, settings=SMALL) as reader,
        SegmentSource(str(STREET), "street", unit.segment, CaptureOptions(), print, 1) as source,
    ):
        stream = RecordedStream(reader, source, unit, crops=False)
        frame = next(iter(source))

        class Back:
            def update(self, frame: Frame, look: Look, *, wanted: bool) -> Done:
                return Done(1, 0.1, (Found(frame, read("京A12345"), 1),))

        stream._back = Back()  # type: ignore[assignment]
        stream.step(frame, Seen(Look(), [read("苏E7K52M")]))
    (row,) = stream.frames
    assert [one["text"] for one in row["reads"]] == ["苏E7K52M", "京A12345"]


def test_crops_are_those_of_the_best_reads(tmp_path: Path, pictures: Path) -> None:
    rows = read_here(
        tmp_path / "out", pictures, STREET, segment=2.0, crops=True, stride=4, settings={"gate": "off"}
    )
    assert rows and all(row["image"] for row in rows)
    with PlateReader(precision="fp32", threads=1, settings={**SMALL, "gate": "off"}) as reader:
        events = {event.text: event.crop for event in reader.events(STREET, stride=4)}
    for row in rows:
        if row["type"] == "event":
            assert (decode_image(row["image"], "crop") == events[row["text"]]).all()


def test_a_committed_unit_is_left_as_it_is(tmp_path: Path, pictures: Path) -> None:
    before = read_here(tmp_path / "out", pictures, STREET, block=4, segment=3.0)
    store = Store(tmp_path / "out")
    plan, units = store.read_plan()
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("day=*/*")}
    worker = Worker(Orders(str(tmp_path / "out"), plan, retries=0))
    for unit in units:
        assert worker.do(unit).rows == 0
    worker.close()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("day=*/*")} == stamps
    assert rows_of(tmp_path / "out") == before


def test_a_video_whose_reader_died_before_its_rows_is_joined_by_the_next(tmp_path: Path) -> None:
    whole = read_here(tmp_path / "whole", STREET, segment=2.0)
    run, units, _ = begin(tmp_path / "out", STREET, segment=2.0)
    worker = Worker(Orders(str(tmp_path / "out"), run.job.to_dict(), retries=0))
    worker._join = lambda unit: 0  # type: ignore[method-assign] # killed between the two commits
    for unit in units:
        worker.do(unit)
    worker.close()
    assert not list((tmp_path / "out").glob("day=*/*"))
    left, _ = run.prepare(resume=True)
    assert [unit.part for unit in left] == [len(units) - 1]
    worker = Worker(Orders(str(tmp_path / "out"), run.job.to_dict(), retries=0))
    assert worker.do(left[0]).rows == len(whole)
    worker.close()
    assert rows_of(tmp_path / "out") == whole


@pytest.fixture
def archive_with_gaps(tmp_path: Path, pictures: Path) -> tuple[Path, Path, Rows]:
    """An archive that was read while a disk was gone; what lies on it, and the rows with it."""
    (pictures / "street.mp4").write_bytes(STREET.read_bytes())
    job = {"block": 4, "segment": 4.0, "stride": 8}
    whole = read_here(tmp_path / "whole", pictures, **job)
    run, units, found = begin(tmp_path / "out", pictures, **job)
    gone = tmp_path / "gone"
    gone.mkdir()
    for path in (pictures / "2026-11-26/1.jpg", pictures / "6.jpg", pictures / "street.mp4"):
        path.rename(gone / path.name)
    do(run, units)
    run.store.finish()
    run.store.failures.write(run.store.failures.gathered(found))
    return tmp_path / "out", gone, whole


def do(run: ArchiveRun, units: list[Unit]) -> list[str]:
    """Has units done as a reader does; returns their identifiers."""
    worker = Worker(Orders(str(run.store.folder), run.job.to_dict(), retries=0))
    for unit in units:
        worker.do(unit)
    worker.close()
    return [unit.id for unit in units]


def put_back(pictures: Path, gone: Path) -> None:
    for path in [*gone.iterdir()]:
        path.rename(pictures / ("2026-11-26" if path.name == "1.jpg" else ".") / path.name)


def failed(run: ArchiveRun) -> list[str]:
    return sorted(Path(failure.source).name for failure in run.store.failures.gathered())


def test_what_failed_is_read_again_and_nothing_else(
    archive_with_gaps: tuple[Path, Path, Rows], pictures: Path
) -> None:
    out, gone, whole = archive_with_gaps
    run = run_of(out)
    assert failed(run)[:4] == ["1.jpg", "2.jpg", "5.jpg", "6.jpg"] and len(rows_of(out)) < len(whole)
    put_back(pictures, gone)
    (pictures / "2026-11-26" / "0.jpg").write_bytes(b"spoilt meanwhile, and not asked for")
    units, _ = run.prepare(resume=True, again=True)
    assert status_of(run.store)["state"] == "unfinished"
    do(run, units)
    assert rows_of(out) == whole
    assert failed(run) == ["2.jpg", "5.jpg"]  # damaged, now as before
    assert run.prepare(resume=True) == ([], [])
    run.store.finish()
    assert status_of(run.store)["state"] == "done"


def test_a_retry_that_goes_worse_takes_nothing_away(
    archive_with_gaps: tuple[Path, Path, Rows], pictures: Path
) -> None:
    out, gone, whole = archive_with_gaps
    put_back(pictures, gone)
    run = run_of(out)
    do(run, run.prepare(resume=True, again=True)[0])
    video = pictures / "street.mp4"
    data = video.read_bytes()
    # As if one segment of the video had been unreadable: now all of them are.
    part = next(unit for unit in run.store.read_plan()[1] if unit.video and unit.part == 1)
    run.store.failures.note(part.id, [Failure(str(video), "gone", unit=part.id, partly=True)])
    video.unlink()
    do(run, run.prepare(resume=True, again=True)[0])
    assert rows_of(out) == whole and "street.mp4" in failed(run)
    video.write_bytes(data)
    do(run, run.prepare(resume=True, again=True)[0])
    assert rows_of(out) == whole and failed(run) == ["2.jpg", "5.jpg"]


@pytest.mark.parametrize(
    ("part", "killed_at"),
    [(Store, "write_rows"), (Failures, "note"), (Store, "unmark"), (Store, "drop_segments")],
)
def test_a_retry_that_was_killed_goes_on(
    archive_with_gaps: tuple[Path, Path, Rows],
    pictures: Path,
    part: type,
    killed_at: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, gone, whole = archive_with_gaps
    put_back(pictures, gone)
    run = run_of(out)
    units, _ = run.prepare(resume=True, again=True)

    def killed(*words: object) -> None:
        raise KeyboardInterrupt

    for unit in (units[0], units[-1]):  # pictures; and the video with its last part
        with monkeypatch.context() as patch:
            worker = Worker(Orders(str(out), run.job.to_dict(), retries=0))
            for before in units[1:-1] if unit is units[-1] else ():
                worker.do(before)
            patch.setattr(part, killed_at, killed)
            with suppress(KeyboardInterrupt):
                worker.do(unit)
            worker.close()
    run = run_of(out)
    do(run, run.prepare(resume=True)[0])  # `--resume` alone: the marks are still there
    assert rows_of(out) == whole and failed(run) == ["2.jpg", "5.jpg"]


def test_of_a_video_without_rows_yet_the_segments_that_failed_are_read_again(tmp_path: Path) -> None:
    whole = read_here(tmp_path / "whole", STREET, segment=2.0, stride=4)
    video = tmp_path / "street.mp4"
    video.write_bytes(STREET.read_bytes())
    run, units, _ = begin(tmp_path / "out", video, segment=2.0, stride=4)
    video.rename(tmp_path / "gone")
    do(run, units[1:3])  # while its disk is away; then all is killed
    (tmp_path / "gone").rename(video)
    assert failed(run) == ["street.mp4"] * 2
    run = run_of(tmp_path / "out")
    left, _ = run.prepare(resume=True, again=True)
    assert left == units
    do(run, left)
    rows = [{**row, "source": str(STREET)} for row in fields(rows_of(tmp_path / "out"))]
    assert {**rows[0], "id": ""} == {**fields(whole)[0], "id": ""} and len(rows) == len(whole)
    assert not failed(run)


def test_rows_that_somebody_removed_meanwhile_are_read_again(tmp_path: Path, pictures: Path) -> None:
    whole = read_here(tmp_path / "whole", pictures)
    assert read_here(tmp_path / "out", pictures) == whole
    run = run_of(tmp_path / "out")
    units, _ = run.prepare(resume=True, again=True)
    for path in (tmp_path / "out").glob("day=*/*.parquet"):
        path.unlink()
    do(run, units)
    assert rows_of(tmp_path / "out") == whole and not run.store.marked()


def test_what_was_not_there_at_all_is_looked_for_again(tmp_path: Path, pictures: Path) -> None:
    late = tmp_path / "late"
    run, units, found = begin(tmp_path / "out", pictures, late)
    begun = do(run, units)
    assert [failure.source for failure in found] == [str(late)]
    run = run_of(tmp_path / "out")
    assert run.prepare(resume=True, again=True)[1] == found  # and stays so as long as it is not there
    late.mkdir()
    (late / "9.jpg").write_bytes((pictures / "7.jpg").read_bytes())
    for _ in range(2):  # the second as if the first had been killed before it read anything
        units, found = run.prepare(resume=True, again=True)
        assert not found
    new = [unit for unit in units if unit.id not in begun]  # beside those of what is damaged
    assert [file.name for unit in new for file in unit.files] == [str(late / "9.jpg")]
    do(run, units)
    assert fields(rows_of(tmp_path / "out")) == fields(read_here(tmp_path / "whole", pictures, late))


def run_of(out: Path) -> ArchiveRun:
    store = Store(out)
    return ArchiveRun(store, Job.from_dict(store.read_plan()[0]), ReaderSettings())


def test_a_picture_that_kills_readers_is_given_up_alone(tmp_path: Path, pictures: Path) -> None:
    run, units, _ = begin(tmp_path / "out", pictures, block=8, settings={"rotate": "0"})
    (first, second) = units
    run.store.attempts_path(first).write_bytes(b"begin\n0\n1\n" * 3 + b"begin\n0\n")
    worker = Worker(Orders(str(tmp_path / "out"), run.job.to_dict(), retries=2))
    worker.do(first), worker.do(second)
    worker.close()
    failures = {Path(one.source).name: one.reason for one in run.store.failures.gathered()}
    assert failures["1.jpg"].endswith("1.jpg: the reader died as it was read, 3 times")
    assert {row["text"] for row in rows_of(tmp_path / "out")} == {f"皖A13H2{n}" for n in (0, 3, 4, 6, 7)}
    assert not run.store.attempts_path(first).exists()


def test_a_reader_says_what_is_wrong_with_its_machine(tmp_path: Path, pictures: Path) -> None:
    run, _, _ = begin(tmp_path / "out", pictures)
    with pytest.raises(InputError, match="not seen from each machine"):
        Worker(Orders(str(tmp_path / "elsewhere"), run.job.to_dict()))
    with pytest.raises(InputError, match=r"0\.0\.9 here"):
        Worker(Orders(str(tmp_path / "out"), run.job.to_dict(), tool="0.0.9"))
    with pytest.raises(InputError, match="another bundle than the archive was begun with"):
        Worker(Orders(str(tmp_path / "out"), {**run.job.to_dict(), "digest": "0" * 64}))


def test_columns_are_the_fields_with_types() -> None:
    assert [name for name, *_ in COLUMNS] == [*(name for name, _, _ in FIELDS), "unit", "image"]


def test_the_docs_table_is_the_schema() -> None:
    page = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{name}` | {kind} | {unit} | {meaning} |" for name, kind, unit, meaning in COLUMNS]
