"""Builds in processes of their own, as far as they go without a GPU."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from helpers.engine_manifests import ORIN as MACHINE

from edge_lpr.backends.tensorrt.cuda import open_gpu
from edge_lpr.bundle.manifest import bundled, load_bundle
from edge_lpr.engines import build_process
from edge_lpr.engines.build import BuildJob, build_jobs
from edge_lpr.engines.build_process import build_in_processes, quick_job
from edge_lpr.engines.build_settings import BuildSettings
from edge_lpr.errors import BackendError, EdgeLprError


@pytest.fixture
def job() -> BuildJob:
    if not (bundled() / "bundle.json").is_file():
        pytest.skip("needs the default bundle")
    settings = BuildSettings(batches=(1, 2), det_sizes=("256x192",))
    return next(iter(build_jobs(load_bundle(), ["fp32"], settings)))


def test_what_the_process_finds_wrong_is_raised_with_its_exit_code(job: BuildJob, tmp_path: Path) -> None:
    try:
        open_gpu()
    except EdgeLprError as e:
        reason, code = str(e), e.exit_code
    else:
        pytest.skip("this machine has a GPU")
    with pytest.raises(EdgeLprError) as caught:
        build_in_processes(job, tmp_path, MACHINE)
    assert (str(caught.value), caught.value.exit_code) == (reason, code)
    assert not list(tmp_path.iterdir())


def test_a_process_that_crashes_costs_that_engine_alone(
    job: BuildJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_process, "_BOOT", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    said = r"^det fp32: the process that builds it ended at profile 1 of 2 \(SIGKILL: out of memory\?\)$"
    with pytest.raises(BackendError, match=said):
        build_in_processes(job, tmp_path, MACHINE)
    monkeypatch.setattr(build_process, "_BOOT", "raise SystemExit(3)")
    with pytest.raises(BackendError, match=r"ended at profile 1 of 2 \(exit code 3\)"):
        build_in_processes(job, tmp_path, MACHINE)


def test_a_build_that_hangs_is_given_up_when_its_time_is_up(
    job: BuildJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_process, "_BOOT", "import time; time.sleep(1000)")
    stages: list[str] = []
    with pytest.raises(BackendError, match="det fp32: the time was up at profile 1 of 2; build again"):
        build_in_processes(
            job, tmp_path, MACHINE, tell=lambda stage, *_: stages.append(stage), until=time.monotonic() + 0.3
        )
    assert set(stages) == {"profile 1 of 2"}


def test_an_order_larger_than_a_pipe_arrives(
    job: BuildJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    large = replace(job, model=replace(job.model, extra={"calibration": "x" * (1 << 20)}))
    boot = (
        "import json, pickle, sys; sys.path[:] = json.loads(sys.argv[1])\n"
        "order = pickle.load(sys.stdin.buffer)\n"
        "said = f'{len(order.job.model.extra[\"calibration\"])} bytes'\n"
        "print(json.dumps({'error': {'input': True, 'said': said}}), flush=True)"
    )
    monkeypatch.setattr(build_process, "_BOOT", boot)
    with pytest.raises(EdgeLprError, match=r"^1048576 bytes$"):
        build_in_processes(large, tmp_path, MACHINE)


def test_what_is_quick_needs_no_quick_one_before_it(job: BuildJob) -> None:
    quick = quick_job(job)
    assert quick is not None and quick.settings.optimization_level == 0 and quick.model == job.model
    assert quick_job(quick) is None
    assert quick.key(MACHINE) != job.key(MACHINE)
