"""A real Ray cluster of two machines on this one, of which a reader and then a machine are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.extras import reason
from helpers.waiting import LONG, wait_until
from numpy.typing import NDArray

pytest.importorskip("ray", reason=reason("ray", "scale"))
pytest.importorskip("pyarrow", reason=reason("pyarrow", "scale"))
pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))

from edge_lpr.archive.cluster import _ours, connected
from edge_lpr.archive.status import status_of
from edge_lpr.archive.store import Store
from edge_lpr.archive.worker import Done
from edge_lpr.errors import BackendError, InputError, SettingError

from .conftest import begin, read_here, rows_of

STREET = Path(__file__).parents[2] / "samples" / "street.mp4"
# What Ray leaves to the collector of garbage, and says of its own future.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
SMALL = ["--det-limit-side-len", "320", "--det-limit-type", "max", "--precision", "fp32"]
BLOCK = 3


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory, plate_scene: Callable[..., NDArray[np.uint8]]) -> Path:
    """Ten blocks of pictures, one of each damaged."""
    folder = tmp_path_factory.mktemp("blocks")
    for number in range(10 * BLOCK):
        data = bytes(cv2.imencode(".jpg", plate_scene(f"皖A13H{number:02}"))[1])
        name = folder / f"{number:02}.jpg"
        name.write_bytes(data[: len(data) // 2] if number % BLOCK == 1 else data)
    return folder


@pytest.fixture
def short_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where Ray keeps its sockets, whose names may not be long."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield Path(folder)


def test_a_killed_reader_and_a_lost_machine_change_no_row(tmp_path: Path, blocks: Path) -> None:
    job = {"block": BLOCK, "segment": 1.0, "stride": 3}
    undisturbed = read_here(tmp_path / "alone", blocks, STREET, **job)
    node = {"num_cpus": 1, "object_store_memory": 100 << 20}
    cluster, second = two_machines(**node)
    try:
        run, units, found = begin(tmp_path / "out", blocks, STREET, **job)
        run.address = cluster.address
        done: list[Done] = []

        def disturb(one: Done) -> None:
            done.append(one)
            if len(done) == 3:
                os.kill(one.process, signal.SIGKILL)
            if len(done) == 6:
                cluster.remove_node(second)

        summary = run.run(units, found, disturb)
    finally:
        cluster.shutdown()
    assert {one.unit for one in done} == {unit.id for unit in units} and len(units) == 18
    assert len({one.process for one in done}) >= 3  # two readers, and the one that took a killed one's place
    assert rows_of(tmp_path / "out") == undisturbed and len(undisturbed) > 20
    assert len(summary.failures) == 10
    told = status_of(Store(tmp_path / "out"))
    assert (told["state"], told["rows"], told["failures"]) == ("done", len(undisturbed), 10)


def test_what_was_killed_as_a_whole_goes_on(tmp_path: Path, blocks: Path, short_folder: Path) -> None:
    undisturbed = read_here(tmp_path / "alone", blocks, block=BLOCK)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "edge_lpr", "archive", "--out", str(out)]
    begun = [*command, str(blocks), *SMALL, "--block", str(BLOCK)]
    with subprocess.Popen(begun, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: process.poll() is not None or len(list(out.glob("day=*/*.parquet"))) >= 2)
        process.kill()
        assert process.stderr is not None
        assert process.wait(LONG) == -signal.SIGKILL, process.stderr.read()
    # Ray's own processes end with the one that began them, and its readers with those.
    wait_until(lambda: not processes_in(short_folder))
    committed = len(list(out.glob("day=*/*.parquet")))
    assert 2 <= committed < 10
    done = subprocess.run([*command, str(blocks)], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "an archive was begun there; --resume goes on with it" in done.stderr
    done = subprocess.run(
        [*command, "--resume"], capture_output=True, text=True, timeout=3 * LONG, check=False
    )
    assert done.returncode == 2, done.stderr
    lines = done.stderr.splitlines()
    assert all(line.startswith("edge-lpr: ") for line in lines), done.stderr
    assert sum("damaged or cut short" in line for line in lines) == 10
    assert "10 failures" in lines[-1] and lines[-1].endswith("failures.jsonl")
    assert rows_of(out) == undisturbed
    assert not list(out.rglob("*.part*")) and not list(out.glob("_archive/attempts/*"))


def test_a_cluster_that_is_not_there_is_named() -> None:
    with (
        pytest.raises(SettingError, match=r"--ray 127\.0\.0\.1:1: no Ray cluster answers there"),
        connected("127.0.0.1:1"),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (
            "\x1b[36mray::Actor.__init__()\x1b[39m (pid=1)\n  x\nedge_lpr.errors.InputError: b: another one",
            InputError,
            "b: another one",
        ),
        (
            "ray::x\nedge_lpr.errors.BackendError: no\n\nThe above\nedge_lpr.errors.BackendError: GPU lost",
            BackendError,
            "GPU lost",
        ),
        ("The node\nhas died", BackendError, "Ray gave up: The node has died"),
    ],
)
def test_what_a_reader_raised_is_told_as_it_was(text: str, kind: type[Exception], said: str) -> None:
    error = _ours(Exception(text))
    assert (type(error), str(error)) == (kind, said)


def two_machines(**node: Any) -> tuple[Any, Any]:
    """Starts a cluster, again where a busy machine takes too long for Ray; returns its second machine too."""
    from ray.cluster_utils import Cluster

    for left in (2, 1, 0):
        cluster = Cluster()
        try:
            cluster.add_node(**node, include_dashboard=False)
            return cluster, cluster.add_node(**node)
        except Exception:
            cluster.shutdown()
            if not left:
                raise
    raise AssertionError


def processes_in(folder: Path) -> list[str]:
    """The command lines of Ray's processes that work in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found
