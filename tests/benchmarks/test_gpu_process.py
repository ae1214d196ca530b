"""Parts of the GPU benchmark in processes of their own: what they leave, and what ends them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_lpr.benchmarks.gpu_process import load_shared, run_part, save_shared, write_result
from edge_lpr.errors import BackendError, InputError

WRITES = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from pathlib import Path
from edge_lpr.benchmarks.gpu_process import write_result
write_result(Path(sys.argv[4]), sys.argv[3], {})
"""


def test_a_part_s_result_comes_back(tmp_path: Path) -> None:
    script = WRITES.replace("{}", '{"result": {"argv": json.loads(sys.argv[2]), "name": sys.argv[3]}}')
    found = run_part(["--images", "3"], "build det fp16", tmp_path, lambda: 60, script)
    assert found == {"argv": ["--images", "3"], "name": "build det fp16"}


@pytest.mark.parametrize(("wrong", "error"), [(True, InputError), (False, BackendError)])
def test_a_part_s_error_comes_back(tmp_path: Path, wrong: bool, error: type[Exception]) -> None:
    script = WRITES.replace("{}", f'{{"error": "no such folder", "input": {wrong}}}')
    with pytest.raises(error, match=r"^no such folder$"):
        run_part([], "reference", tmp_path, lambda: 60, script)


def test_a_part_that_is_at_work_when_the_time_is_up_is_ended(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="the time was up: ended after 0 s"):
        run_part([], "memory", tmp_path, lambda: 0.2, "import time; time.sleep(1000)")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("raise SystemExit(3)", "exit code 3"),
    ],
)
def test_a_part_that_crashes_is_named_and_takes_no_older_result(
    tmp_path: Path, script: str, why: str
) -> None:
    write_result(tmp_path, "build det fp16", {"result": {"old": True}})
    with pytest.raises(BackendError, match=f"its process ended without a result \\({why}\\)"):
        run_part([], "build det fp16", tmp_path, lambda: 60, script)


def test_what_parts_share(tmp_path: Path) -> None:
    assert load_shared(tmp_path) == {}
    save_shared(tmp_path, {"speeds": {("det", "fp16", (1, 2)): 3.0}})
    assert load_shared(tmp_path) == {"speeds": {("det", "fp16", (1, 2)): 3.0}}
