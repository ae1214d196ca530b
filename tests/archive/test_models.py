"""Models of machines that share no file system: each machine takes them, or builds its engines, once.

TensorRT and its GPU are stood in for (`stand_in`): engines are built by the kit's own processes, of which
each is noted, and none is run.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.extras import reason
from helpers.waiting import LONG, wait_until

pytest.importorskip("pyarrow", reason=reason("pyarrow", "scale"))
pytest.importorskip("onnx", reason=reason("onnx", "test"))

from helpers.tiny_bundle import write_bundle

from edge_lpr.archive.job import Job
from edge_lpr.archive.models import made_ready, offer
from edge_lpr.bundle.manifest import load_bundle, portable_bundle
from edge_lpr.engines.build import build_jobs
from edge_lpr.engines.build_settings import BuildSettings
from edge_lpr.errors import InputError

from .conftest import two_machines

STAND_IN = Path(__file__).parent / "stand_in"
# What Ray leaves to the collector of garbage, and says of its own future.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
PROGRAM = """\
import json, pickle, sys
from edge_lpr.archive.models import made_ready
made = made_ready(*pickle.loads(bytes.fromhex(sys.argv[1])))
print(json.dumps(dict(made.models)))
"""


class Machine:
    """A machine: a cache of its own, and a list of what was built there."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.folder = folder
        self.environment = {
            "XDG_CACHE_HOME": str(folder / "cache"),
            "HOST_GPU_NOTES": str(folder / "notes"),
            "PYTHONPATH": os.pathsep.join(
                [str(STAND_IN), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
            ),
            **more,
        }
        folder.mkdir(exist_ok=True)

    @property
    def built(self) -> int:
        notes = self.folder / "notes"
        return len(notes.read_text("utf-8").splitlines()) if notes.exists() else 0

    @property
    def engines(self) -> dict[str, bytes]:
        folder = self.folder / "cache" / "edge-lpr" / "engines"
        return {path.name: path.read_bytes() for path in folder.glob("*.engine")}

    def begin(self, job: Job, place: Path, **more: str) -> subprocess.Popen[str]:
        """Begins what each reader does first."""
        command = [sys.executable, "-c", PROGRAM, pickle.dumps((job, place)).hex()]
        environment = {**os.environ, **self.environment, **more}
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    def ready(self, job: Job, place: Path) -> dict[str, Any]:
        """Does it; returns the reader's models."""
        with self.begin(job, place) as process:
            out, error = process.communicate(timeout=LONG)
        assert process.returncode == 0, error
        models: dict[str, Any] = json.loads(out)
        return models


@pytest.fixture(scope="module")
def offers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, Path]:
    """A job whose bundle is not on any machine, and the place where it is offered."""
    folder = tmp_path_factory.mktemp("command")
    bundle = write_bundle(folder / "bundle")
    models = {"bundle": str(bundle), "backend": "tensorrt", "precision": "fp32"}
    job = Job(sources=("x",), models=models).with_bundle()
    offer(job, folder / "models")
    bundle.rename(folder / "away")
    return job, folder / "models"


@pytest.fixture(scope="module")
def builds(offers: tuple[Job, Path]) -> int:
    """How many processes build the engines of one machine: one a profile, and one for all of several."""
    bundle = load_bundle(offers[1].parent / "away")
    counts = [len(job.profiles) for job in build_jobs(bundle, ["fp32"], BuildSettings())]
    return sum(count + (count > 1) for count in counts)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, offers: tuple[Job, Path], builds: int) -> Machine:
    """A machine that has everything."""
    made = Machine(tmp_path_factory.mktemp("machine"))
    made.ready(*offers)
    assert made.built == builds and len(made.engines) == 2
    return made


def test_two_readers_on_each_of_two_machines_make_everything_once(
    tmp_path: Path, offers: tuple[Job, Path], builds: int
) -> None:
    ray = pytest.importorskip("ray", reason=reason("ray", "scale"))
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    job, place = offers
    machines = [Machine(tmp_path / name) for name in ("first", "second")]
    node = {"num_cpus": 2, "object_store_memory": 100 << 20}
    cluster, _ = two_machines(*({**node, "env_vars": one.environment} for one in machines))
    try:
        ray.init(address=cluster.address, log_to_driver=False)

        def reader() -> tuple[str, int, str]:
            from edge_lpr.archive.models import made_ready

            models = made_ready(job, place).models
            manifest = Path(models["bundle"], "bundle.json")
            return models["bundle"], manifest.stat().st_ino, models["options"]["engines"]

        tasks = []
        for node in ray.nodes():
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task = ray.remote(num_cpus=1, max_retries=0, scheduling_strategy=there)(reader)
            tasks += [task.remote(), task.remote()]
        found = ray.get(tasks, timeout=3 * LONG)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert len(found) == 4 and len(set(found)) == 2  # the very same files for both readers of a machine
    for one in machines:
        assert (one.built, len(one.engines)) == (builds, 2)
        ((bundle, _, engines),) = {f for f in found if f[0].startswith(str(one.folder))}
        assert engines.startswith(str(one.folder)) and load_bundle(bundle).name == "tiny"


def test_where_one_that_builds_is_killed_the_next_takes_over(
    tmp_path: Path, offers: tuple[Job, Path], builds: int
) -> None:
    machine = Machine(tmp_path / "machine")
    with machine.begin(*offers, HOST_GPU_ENDLESS_FROM="1") as first:  # its second build never ends
        wait_until(lambda: machine.built == 2 or first.poll() is not None)
        with machine.begin(*offers) as second:
            first.kill()
            assert second.wait(LONG) == 0, second.stderr and second.stderr.read()
        assert first.wait(LONG) == -9
    assert (machine.built, len(machine.engines)) == (2 + builds, 2)
    left = [path.name for path in (tmp_path / "machine").rglob("*.part*")]
    assert not left


def test_what_is_there_and_whole_is_neither_fetched_nor_built_again(
    machine: Machine, offers: tuple[Job, Path], builds: int
) -> None:
    before = machine.engines
    models = machine.ready(*offers)
    stamp = Path(models["bundle"], "bundle.json").stat().st_mtime_ns
    assert machine.ready(*offers) == models and machine.built == builds and machine.engines == before
    assert Path(models["bundle"], "bundle.json").stat().st_mtime_ns == stamp


def test_a_damaged_engine_is_built_again_and_no_other(
    tmp_path: Path, machine: Machine, offers: tuple[Job, Path]
) -> None:
    copy = Machine(tmp_path / "copy")
    shutil.copytree(machine.folder / "cache", copy.folder / "cache")
    before = copy.engines
    name = next(name for name in before if ".rec." in name)
    path = copy.folder / "cache" / "edge-lpr" / "engines" / name
    path.write_bytes(before[name][::-1])  # as long as it was: the checksum tells
    copy.ready(*offers)
    assert copy.engines == before and 1 <= copy.built <= 3


def test_engines_of_the_command_are_taken_where_they_fit(
    tmp_path: Path, machine: Machine, offers: tuple[Job, Path], builds: int
) -> None:
    job, place = offers
    engines = str(machine.folder / "cache" / "edge-lpr" / "engines")
    there = replace(
        job, models={**job.models, "bundle": str(place.parent / "away"), "options": {"engines": engines}}
    )
    both = tmp_path / "models"
    offer(there, both)
    gone = replace(job, models={**job.models, "options": {"engines": str(tmp_path / "none")}})
    same = Machine(tmp_path / "same")
    models = same.ready(gone, both)
    assert same.built == 0 and same.engines == machine.engines
    assert models["options"] == {"engines": str(same.folder / "cache" / "edge-lpr" / "engines")}
    other = Machine(tmp_path / "other", STAND_IN_GPU="Another")
    other.ready(gone, both)
    assert other.built == builds and len(other.engines) == 4  # two that it cannot use, and its own


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path / "cache"


def on_a_cpu(job: Job) -> Job:
    return replace(job, models={**job.models, "backend": "onnxruntime"})


def test_a_bundle_that_was_damaged_on_its_machine_is_fetched_again(
    cache: Path, offers: tuple[Job, Path]
) -> None:
    job, place = on_a_cpu(offers[0]), offers[1]
    made = made_ready(job, place)
    model = load_bundle(made.models["bundle"]).model("det", "fp32")
    assert model.path.is_relative_to(cache)
    data = model.read()
    model.path.write_bytes(data[::-1])
    assert made_ready(job, place) == made and model.read() == data


def test_a_bundle_that_is_on_the_machine_is_left_where_it_is(cache: Path, offers: tuple[Job, Path]) -> None:
    job, place = on_a_cpu(offers[0]), offers[1]
    here = replace(job, models={**job.models, "bundle": str(place.parent / "away")})
    assert made_ready(here, place) == here and not cache.exists()


def test_a_bundle_of_the_package_is_told_by_its_name_and_not_offered(
    cache: Path, tmp_path: Path, offers: tuple[Job, Path]
) -> None:
    job = on_a_cpu(offers[0])
    named = replace(job, models={**job.models, "bundle": portable_bundle("accurate", tmp_path)})
    offer(named, tmp_path / "models")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("harm", ["gone", "model", "other"])
def test_a_bundle_that_cannot_be_fetched_whole_is_refused(
    cache: Path, tmp_path: Path, offers: tuple[Job, Path], harm: str
) -> None:
    job, place = on_a_cpu(offers[0]), tmp_path / "models"
    if harm != "gone":
        shutil.copytree(offers[1], place)
    if harm == "model":
        (place / "bundle" / "rec.fp32.onnx").write_bytes(b"cut short")
    if harm == "other":
        job = replace(job, digest="0" * 64)
    with pytest.raises(InputError, match=r"cannot be fetched|not the bundle that"):
        made_ready(job, place)
    assert not list(cache.rglob("bundle.json"))
