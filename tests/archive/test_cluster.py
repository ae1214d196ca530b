"""Real Ray, on this machine and as a cluster of two on it: what is killed, interrupted, or does not open."""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.extras import reason
from helpers.screen import Screen
from helpers.waiting import LONG, wait_until
from numpy.typing import NDArray

pytest.importorskip("ray", reason=reason("ray", "scale"))
pytest.importorskip("pyarrow", reason=reason("pyarrow", "scale"))
pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))

from edge_lpr.archive.cluster import Cluster, _gave_up, _started, connected
from edge_lpr.archive.settings import ReaderSettings
from edge_lpr.archive.status import status_of
from edge_lpr.archive.store import Store
from edge_lpr.archive.worker import Orders, UnitResult, error_of, error_text
from edge_lpr.cli import main
from edge_lpr.errors import BackendError, EdgeLprError, InputError, OutputError, SettingError, SourceError

from .conftest import Rows, begin, read_here, rows_of, two_machines

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
JOB = {"block": BLOCK, "segment": 1.0, "stride": 3}
NODE = {"num_cpus": 1, "object_store_memory": 100 << 20}


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


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, blocks: Path) -> Rows:
    """The rows of the blocks and the sample video, read by nobody but this process."""
    return read_here(tmp_path_factory.mktemp("alone") / "out", blocks, STREET, **JOB)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of two machines that nothing happens to."""
    made, _ = two_machines(NODE, NODE)
    yield made
    made.shutdown()


def test_a_killed_reader_and_a_lost_machine_change_no_row(
    tmp_path: Path, blocks: Path, undisturbed: Rows
) -> None:
    cluster, second = two_machines(NODE, NODE)
    try:
        run, units, found = begin(tmp_path / "out", blocks, STREET, **JOB)
        run.address = cluster.address
        done: list[UnitResult] = []

        def disturb(one: UnitResult) -> None:
            done.append(one)
            if len(done) == 3:
                os.kill(one.process, signal.SIGKILL)
            if len(done) == 6:
                cluster.remove_node(second)

        with run.reached(resume=True):
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


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_nobody_elsewhere_reaches_the_ray_of_one_machine() -> None:
    before = _listening()
    with connected(None):
        opened = _listening() - before
        assert opened and all(address.endswith("0100007F") for address, _ in opened)


def _listening() -> set[tuple[str, str]]:
    """Addresses and ports at which this process and those below it listen, as /proc/net has them."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    own = {os.getpid()}
    for _ in parents:
        more = {number for number, parent in parents.items() if parent in own} - own
        if not more:
            break
        own |= more
    sockets: set[str] = set()
    for number in own:
        with suppress(OSError):
            for link in Path(f"/proc/{number}/fd").iterdir():
                with suppress(OSError):
                    sockets.add(str(link.readlink()))
    lines = [line.split() for name in ("tcp", "tcp6") for line in _table(name)]
    rows = (line for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets)
    return {(line[1].rpartition(":")[0], line[1].rpartition(":")[2]) for line in rows}


def _table(name: str) -> list[str]:
    path = Path("/proc/net", name)
    return path.read_text().splitlines()[1:] if path.exists() else []


def test_a_cluster_that_is_not_there_is_named() -> None:
    with (
        pytest.raises(SettingError, match=r"--ray 127\.0\.0\.1:1: no Ray cluster answers there"),
        connected("127.0.0.1:1"),
    ):
        pass


def test_a_cluster_that_lets_nobody_in_leaves_no_plan_behind(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**words: object) -> None:
        raise ConnectionError("Failed to connect to Ray cluster")

    monkeypatch.setattr("ray.init", refused)
    out = tmp_path / "out"
    assert main(["archive", str(pictures), "--out", str(out), "--ray", "auto", "--quiet"]) == 2
    assert not Store(out).plan.exists() and Store(out).is_empty()


def test_what_a_cluster_with_a_token_asks_for_is_told_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**words: object) -> None:
        raise ConnectionError("Failed to connect to Ray cluster")

    monkeypatch.setattr("ray.init", refused)
    with pytest.raises(SettingError, match=r"RAY_AUTH_MODE to token, .*auth_token here too$"):
        _started("auto", verbose=False)


def test_what_no_reader_can_have_is_told_at_once_and_in_its_own_words(
    tmp_path: Path, pictures: Path, cluster: Any
) -> None:
    words = ["--backend", "tensorrt", *SMALL]
    plain = command(str(STREET), *words)
    assert plain.returncode and plain.stderr.count("\n") == 1
    out = str(tmp_path / "out")
    done = command("archive", str(pictures), "--out", out, "--ray", cluster.address, *words)
    assert done.returncode == plain.returncode
    told = done.stderr.splitlines()
    assert told[-1] == f"{plain.stderr.strip()} (on {platform.node()})" and len(told) == 3, told
    assert told[0] == "edge-lpr: 2 readers on 2 machines, 2 cores"
    assert told[1].endswith("builds its own, which takes minutes")


def test_what_one_readers_machine_lacks_ends_the_run_in_its_own_words(
    tmp_path: Path, pictures: Path, cluster: Any
) -> None:
    run, units, _ = begin(tmp_path / "out", pictures)
    orders = Orders(str(tmp_path / "out"), run.job.to_dict(), tool="0.0.9")
    with (
        connected(cluster.address) as opened,
        pytest.raises(InputError, match=rf"and 0\.0\.9 here \(on {platform.node()}\)$"),
    ):
        list(opened.work(units, orders, ReaderSettings()))


def test_ctrl_c_on_a_terminal_ends_in_a_line_that_says_how_to_go_on(
    tmp_path: Path, blocks: Path, undisturbed: Rows, short_folder: Path
) -> None:
    out = tmp_path / "out"
    words = ["archive", str(blocks), str(STREET), "--out", str(out), *SMALL]
    words += ["--block", str(BLOCK), "--segment", "1", "--stride", "3", "--cpus-per-reader", "1"]
    with Screen([sys.executable, "-m", "edge_lpr", *words]) as screen:
        # Drawn with each unit that is done: how far, how fast, how long still, and what became of it.
        line = r"out +\d+%  \d+/\d+ frames  [\d.]+/s  [^ ]+ [^ ]+ left  \d+ rows  \d+ failures?"
        wait_until(lambda: screen.ended or re.search(line, screen.text))
        screen.type("\x03")  # as the terminal does: to all processes of the command, Ray's too
        assert screen.wait() == 130, screen.text
    wait_until(lambda: not processes_in(short_folder))  # each ends a moment after the one that began it
    *_, last = screen.text.strip().splitlines()
    assert last == f"edge-lpr: interrupted; go on with it: edge-lpr archive --out {out} --resume"
    committed = len(list(out.glob("day=*/*.parquet")))
    assert committed < 11 and json.loads(command("archive", "--out", str(out), "--status").stdout)["failures"]
    done = command("archive", "--out", str(out), "--resume")
    assert done.returncode == 2 and rows_of(out) == undisturbed
    assert "\x1b" not in done.stderr and "\r" not in done.stderr  # into a pipe no progress is drawn
    assert all(line.startswith("edge-lpr: ") for line in done.stderr.splitlines())
    quiet = command("archive", "--out", str(out), "--resume", "--quiet")
    assert len(quiet.stderr.splitlines()) == 11 and "readers" not in quiet.stderr


def test_the_dashboard_is_told_where_ray_has_one(tmp_path: Path, pictures: Path) -> None:
    run, _, _ = begin(tmp_path / "out", pictures)
    told: list[str] = []
    run.note, run.address = told.append, "10.0.0.5:6379"
    run._tell(Cluster("10.0.0.5:8265", [(4, 0), (2, 0)], shared=True))
    assert told == ["6 readers on 2 machines, 6 cores", "Ray's dashboard: http://10.0.0.5:8265"]
    run.address = None
    run._tell(Cluster("", [(4, 0)]))
    assert told[2:] == ["4 readers on this machine, 4 cores"]


@pytest.mark.parametrize(
    ("machines", "cpus", "gpus", "readers"),
    [
        ([(4, 0), (3, 0)], 2, 0, 3),
        ([(8, 1), (8, 0)], 1, 0.25, 4),
        ([(2, 1), (16, 2)], 4, 0.5, 4),
        ([(3, 0), (3, 0)], 4, 0, "--cpus-per-reader 4: no machine has more than 3 CPU cores"),
        ([(8, 0)], 1, 0.5, "--gpus-per-reader 0.5 with --cpus-per-reader 1: no machine has both free"),
        ([(1, 2), (8, 0)], 2, 1, "--gpus-per-reader 1 with --cpus-per-reader 2: no machine has both free"),
    ],
)
def test_a_reader_has_all_that_it_has_on_one_machine(
    machines: list[tuple[float, float]], cpus: int, gpus: float, readers: int | str
) -> None:
    cluster, settings = Cluster("", machines), ReaderSettings(cpus_per_reader=cpus, gpus_per_reader=gpus)
    if isinstance(readers, int):
        assert cluster.readers(settings) == readers
        return
    with pytest.raises(SettingError, match=re.escape(readers)):
        cluster.readers(settings)


@pytest.mark.parametrize(
    ("error", "kind"), [(SourceError("b: none"), InputError), (OutputError("o: full"), BackendError)]
)
def test_errors_of_readers_are_sent_as_text(error: EdgeLprError, kind: type[EdgeLprError]) -> None:
    made = error_of(error_text(error), cluster=False)
    assert (type(made), str(made)) == (kind, str(error))
    assert str(error_of(error_text(error), cluster=True)) == f"{error} (on {platform.node()})"


def test_what_ray_says_is_one_line() -> None:
    assert str(_gave_up(Exception("\x1b[36mThe node\x1b[39m\nhas died"))) == "Ray gave up: The node has died"


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs `edge-lpr` with its output into pipes."""
    line = [sys.executable, "-m", "edge_lpr", *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=3 * LONG, check=False)


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
