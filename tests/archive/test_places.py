"""Archives in an object store: what is committed is one whole object, and what is killed goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.extras import reason
from helpers.waiting import LONG, wait_until

pytest.importorskip("fsspec", reason=reason("fsspec", "scale"))
pytest.importorskip("pyarrow", reason=reason("pyarrow", "scale"))

import fsspec

from edge_lpr.archive.attempts import Attempt
from edge_lpr.archive.notes import notes_at
from edge_lpr.archive.object_store import Address
from edge_lpr.archive.places import place_of, write_whole
from edge_lpr.archive.status import status_of
from edge_lpr.archive.store import Store
from edge_lpr.archive.worker import Orders, Worker
from edge_lpr.cli import main
from edge_lpr.errors import InputError, OutputError, SettingError, SourceError

from .conftest import Rows, begin, read_here, rows_of

STREET = Path(__file__).parents[2] / "samples" / "street.mp4"
# Of no extra: what they need of python-dateutil is older than what constraints.txt has.
BY_HAND = 'needs moto and s3fs, in an environment of their own: pip install "moto[s3]" flask flask-cors s3fs'


@pytest.fixture
def memory() -> Iterator[str]:
    """An object store within this process."""
    yield "memory://plates"
    fs = fsspec.filesystem("memory")
    if fs.exists("/plates"):
        fs.rm("/plates", recursive=True)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a server that speaks S3; this process and those it starts know where it is."""
    moto = pytest.importorskip("moto.server", reason=BY_HAND)
    s3fs = pytest.importorskip("s3fs", reason=BY_HAND)
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    fsspec.filesystem("s3").mkdir("city")
    yield "s3://city"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def seen(rows: Rows) -> list[tuple[Any, ...]]:
    """What rows say, without where their pictures lie."""
    return sorted((r["text"], str(r["corners"]), r["score"], r["first_seen"], str(r["day"])) for r in rows)


def names_in(address: str) -> list[str]:
    fs, path = fsspec.core.url_to_fs(address)
    fs.invalidate_cache()
    return sorted(name.removeprefix(path).lstrip("/") for name in fs.find(path))


def test_an_archive_in_an_object_store_has_the_rows_of_one_in_a_folder(
    tmp_path: Path, pictures: Path, memory: str
) -> None:
    job: dict[str, Any] = {"block": 4, "segment": 4.0, "stride": 8}
    there = read_here(memory, pictures, STREET, **job)
    assert there == read_here(tmp_path / "here", pictures, STREET, **job) and len(there) > 6
    store = Store(place_of(memory))
    assert status_of(store)["state"] == "done" and status_of(store)["failures"] == 2
    store.finish()
    assert {name.split("/")[0] for name in names_in(memory)} == {
        "_archive",
        *(f"day={day}" for day in {row["day"] for row in there}),
    }
    assert not [name for name in names_in(memory) if "segments" in name or "part" in name]


def test_a_unit_that_was_committed_there_is_left_and_the_rest_is_done(pictures: Path, memory: str) -> None:
    whole = read_here("memory://plates/whole", pictures, block=2)
    out = f"{memory}/out"
    run, units, _ = begin(out, pictures, block=2)
    worker = Worker(Orders(out, run.job.to_dict(), retries=0))
    worker.do(units[0]), worker.do(units[2])
    left, _ = run.prepare(resume=True)
    assert [unit.id for unit in left] == [units[1].id, units[3].id]
    for unit in left:
        worker.do(unit)
    worker.close()
    assert rows_of(out) == whole


def test_what_kills_readers_is_found_out_with_few_objects(memory: str) -> None:
    place = Address(f"{memory}/attempt")
    sent: list[bytes] = []

    def attempt(until: int) -> Attempt:
        notes = notes_at(place)
        one = Attempt(notes, retries=1)
        one.__enter__()
        sent.extend(place.read_bytes() for number in range(until + 1) if one.may_try(number))
        return one  # killed there

    attempt(3)
    assert set(sent) == {b"begin\n"}  # the first attempt at a unit sends one object, and no more
    attempt(3), attempt(3)
    last = attempt(4)
    assert last.deaths(3) == 2 and not last.may_try(3)
    last.__exit__(None, None, None)
    assert not place.exists()


def test_what_cannot_be_sent_leaves_what_was_there(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Address(f"{memory}/plan.json")
    write_whole(place, b"old")

    def full(*words: object, **more: object) -> None:
        raise PermissionError("no more room in the bucket")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "pipe_file", full)
    with pytest.raises(OutputError, match=r"plan\.json: cannot be written \(PermissionError: no more room"):
        write_whole(place, b"new")
    assert place.read_bytes() == b"old"


def test_a_store_that_cannot_be_asked_says_so_in_a_line(
    memory: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no(*words: object, **more: object) -> None:
        raise RuntimeError("Unable to locate credentials")

    said = "edge-lpr: memory://plates/_archive/plan.json: cannot be asked for (RuntimeError: Unable to"
    with monkeypatch.context() as patch:
        for name in ("exists", "info", "ls"):
            patch.setattr(type(fsspec.filesystem("memory")), name, no)
        for words in (["--status"], ["--resume"], ["--retry-failed"], ["x.jpg"]):
            assert main(["archive", "--out", memory, *words]) == 2
            told = capsys.readouterr().err
            assert told.startswith(said) and told.count("\n") == 1


@pytest.mark.parametrize(
    ("out", "kind", "said"),
    [
        ("hdfs://host/plates", SettingError, "expected a folder, or an object store"),
        ("https://host/plates", SettingError, "expected a folder, or an object store"),
        ("s3://k:hunter2222@b/x", SourceError, "has a user, a password or a query"),
    ],
)
def test_a_place_whose_files_may_be_half_written_is_none(out: str, kind: type[InputError], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        place_of(out)
    assert "hunter2222" not in str(caught.value)


def test_from_s3_to_s3_through_a_kill(tmp_path: Path, pictures: Path, bucket: str) -> None:
    pytest.importorskip("ray", reason=reason("ray", "scale"))
    fs = fsspec.filesystem("s3")
    for path in pictures.rglob("*.jpg"):
        fs.pipe(f"city/{path.relative_to(pictures)}", path.read_bytes())
    near = read_here(tmp_path / "near", pictures, STREET, block=1, segment=2.0, stride=4)
    days = {row["day"] for row in near}
    out = f"{bucket}/plates"
    begun = ["archive", bucket, str(STREET), "--out", out, "--block", "1", "--segment", "2", "--stride", "4"]
    begun += ["--det-limit-side-len", "320", "--det-limit-type", "max", "--precision", "fp32"]
    command = [sys.executable, "-m", "edge_lpr"]
    with subprocess.Popen([*command, *begun], stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: process.poll() is not None or len(committed(out)) >= 2)
        process.kill()
        assert process.stderr is not None
        assert process.wait(LONG) == -signal.SIGKILL, process.stderr.read()
    first = committed(out)
    assert len(first) < 8
    words = ["archive", "--out", out, "--resume"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=3 * LONG, check=False)
    assert done.returncode == 2 and "2 failures" in done.stderr.splitlines()[-1], done.stderr
    rows = rows_of(out)
    assert [one[:4] for one in seen(rows)] == [one[:4] for one in seen(near)] and days
    assert {name.rpartition("/")[0] for name in names_in(out)} >= {"_archive", "_archive/failures"}
    assert set(first) <= set(committed(out)) and not [n for n in names_in(out) if "segments" in n]
    told = subprocess.run([*command, "archive", "--out", out, "--status"], capture_output=True, check=True)
    assert json.loads(told.stdout)["state"] == "done"


def committed(out: str) -> list[str]:
    return [name for name in names_in(out) if name.startswith("day=")]
