"""`edge-lpr archive` as it is typed: what it tells, what it refuses, and what it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.extras import reason

pytest.importorskip("pyarrow", reason=reason("pyarrow", "scale"))
pytest.importorskip("fsspec", reason=reason("fsspec", "scale"))

from edge_lpr.archive.job import Job
from edge_lpr.archive.store import Store
from edge_lpr.cli import main
from edge_lpr.io.out_file import held

from .conftest import SMALL, begin, read_here

STREET = Path(__file__).parents[2] / "samples" / "street.mp4"
FAST = ["--det-limit-side-len", "320", "--det-limit-type", "max", "--precision", "fp32"]
ROOT = Path(__file__).parents[2]


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.removeprefix("edge-lpr: ") for line in capsys.readouterr().err.splitlines()]


def test_a_plan_tells_units_and_what_they_take(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    out = tmp_path / "out"
    words = ["archive", str(pictures), str(STREET), "no/such", "--out", str(out), "--plan", "--segment", "2"]
    assert main([*words, "--block", "3", "--stride", "4", *FAST]) == 2
    captured = capsys.readouterr()
    units, sample = captured.out.splitlines()
    # Two days of four pictures each, and 8 seconds of video with a key frame each second.
    assert units == "8 units: 8 pictures, 1 video of 7.9 s with 96 frames"
    assert sample.startswith("by a sample of 4 pictures and ") and "of one reader" in sample
    assert "no/such: no such file or folder" in captured.err and not out.exists()


def test_the_status_is_json(tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    begin(tmp_path / "begun", pictures)
    assert main(["archive", "--out", str(tmp_path / "begun"), "--status"]) == 0
    begun = json.loads(capsys.readouterr().out)
    assert (begun["state"], begun["pictures"], begun["pictures_done"], begun["rows"]) == (
        "unfinished",
        8,
        0,
        0,
    )
    read_here(tmp_path / "done", pictures)
    assert main(["archive", "--out", str(tmp_path / "done"), "--status"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["state"], done["pictures_done"], done["rows"], done["failures"]) == ("done", 8, 6, 2)
    assert done["row_bytes"] > 0 and done["units"] == done["units_done"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "o"], "no SOURCE: give what is to be read, or --resume, --retry-failed or --status"),
        (["--out", "o", "--resume"], "o: no archive there"),
        (["--out", "o", "--status"], "o: no archive there"),
        (["x", "--out", "full"], "full: other files lie there; give a folder of its own"),
        (["none", "--out", "o"], "none: no such file or folder"),
        (["x", "--out", "begun"], "an archive was begun there; --resume goes on with it"),
        (["y", "--out", "begun", "--resume"], "the archive was begun with sources ["),
        (
            ["--out", "begun", "--resume", "--block", "7"],
            "the archive was begun with block 500, and now it is 7",
        ),
        (["--out", "begun", "--resume", "--min-score", "0.5"], "the archive was begun with settings {"),
        (["x", "--out", "o", "--retries", "-1"], "--retries: '-1', must be an integer from 0 to 100"),
        (["x", "--out", "o", "--block", "0"], "--block: '0', must be an integer"),
        (["s3://k:hunter2222@b/x", "--out", "o"], "s3://***: has a user, a password or a query"),
        (["rtsp://u:hunter2222@10.0.0.5/1", "--out", "o"], "a stream has no end"),
        (["x", "--out", "o", "--ray", "nowhere"], "--ray nowhere: expected auto, or HOST:PORT"),
        (["x", "--out", "o", "--ray", "127.0.0.1:1"], "--ray 127.0.0.1:1: no Ray cluster answers there"),
        (["x", "--out", "o", "--bundle", "none"], "none: no such folder"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str],
    said: str,
    tmp_path: Path,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "--ray" in words:
        pytest.importorskip("ray", reason=reason("ray", "scale"))
    monkeypatch.chdir(tmp_path)
    pictures.rename("x")
    Path("full").mkdir()
    Path("full/notes.txt").touch()
    if "begun" in words:
        begin(Path("begun").absolute(), "x")
    assert main(["archive", *words]) == 2
    (line,) = told(capsys)
    assert said in line and "hunter2222" not in line


def test_a_second_run_in_a_folder_waits_for_none(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path / "out", pictures)
    with held(tmp_path / "out"):
        assert main(["archive", "--out", str(tmp_path / "out"), "--resume"]) == 2
    assert told(capsys)[-1].endswith("another run is at work there")


def test_a_plan_of_another_kit_is_not_gone_on_with(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _, _ = begin(tmp_path / "out", pictures)
    plan = json.loads(run.store.plan.read_text("utf-8"))
    for change, said in (
        ({"tool": "0.0.9"}, "the plan was made by edge-lpr '0.0.9'"),
        ({"version": 9}, "the plan is none of an archive that this edge-lpr reads"),
        ({"digest": "0" * 64}, "another bundle than the archive was begun with"),
    ):
        run.store.plan.write_text(json.dumps({**plan, **change}), "utf-8")
        assert main(["archive", "--out", str(tmp_path / "out"), "--resume"]) == 2
        assert said in told(capsys)[-1]
    for data in (b"{", b"[]", b'{"format": "edge-lpr-archive", "version": 1}', b"\xff"):
        run.store.plan.write_bytes(data)
        assert main(["archive", "--out", str(tmp_path / "out"), "--resume"]) == 2
        assert len(told(capsys)) == 1
    run.store.plan.write_text(json.dumps(plan), "utf-8")
    run.store.units.write_bytes(b"PAR1")
    assert main(["archive", "--out", str(tmp_path / "out"), "--status"]) == 2
    assert "the plan is damaged" in told(capsys)[-1]


def test_the_same_sources_are_planned_the_same(tmp_path: Path, pictures: Path) -> None:
    plans = [begin(tmp_path / name, pictures, STREET, segment=1.0)[1] for name in ("a", "b")]
    assert plans[0] == plans[1] == Store(tmp_path / "a").read_plan()[1]
    assert len({unit.id for unit in plans[0]}) == len(plans[0]) > 8
    (pictures / "0.jpg").write_bytes((pictures / "4.jpg").read_bytes())
    assert begin(tmp_path / "c", pictures, STREET, segment=1.0)[1] != plans[0]


def test_settings_that_an_archive_was_begun_with_are_kept(tmp_path: Path, pictures: Path) -> None:
    run, _, _ = begin(tmp_path / "out", pictures, block=2, crops=True)
    again = Job.from_dict(run.store.read_plan()[0])
    assert again == run.job and dict(again.settings) == SMALL


def test_without_its_packages_it_says_what_to_install() -> None:
    for module in ("ray", "pyarrow"):
        program = (
            f"import sys; sys.modules[{module!r}] = None; from edge_lpr.cli import main; "
            f"sys.exit(main(['archive', {str(STREET)!r}, '--out', 'none']))"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
        assert f"`edge-lpr archive` needs the package {module!r} of the extra 'scale'" in done.stderr


def test_the_docs_query_runs(tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    duckdb = pytest.importorskip("duckdb", reason=reason("duckdb", "scaletest"))
    rows = read_here(tmp_path / "plates", pictures, STREET, stride=4)
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    query = page.split("<!-- duckdb -->\n```sql\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    found = duckdb.sql(query).fetchall()
    wanted = {row["text"] for row in rows if row["kind"] == "blue" and row["min_score"] >= 0.9}
    assert {text for _, text, *_ in found} == wanted and len(wanted) >= 3
    assert "2026-11-26" in {str(day) for day, *_ in found}
