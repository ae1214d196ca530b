"""The TensorRT backend's own bookkeeping, with the real pycuda on a driver whose device is the host.

No GPU and no TensorRT is in here, and nothing of their speed or arithmetic is shown. What is shown: every
call has a current context, buffers are not used again while work is pending, errors carry their reason, and
all that is taken is given back.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.extras import reason

HERE = Path(__file__).parent / "host_gpu"
NAMES = (
    "results",
    "without_graphs",
    "refused_graphs",
    "mapped",
    "threads",
    "in_flight",
    "bad_shapes",
    "failures",
    "out_of_memory",
    "fewer_slots",
    "timed",
    "bad_plan",
    "old_driver",
    "steady",
    "left_open",
    "types",
    "lent",
    "lent_to_threads",
    "lent_in_vain",
)
WHOLE = (
    "commands",
    "engines_elsewhere",
    "frames",
    "int8",
    "interrupted",
    "quick_first",
    "archive",
    "protocol",
    "benchmark",
)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiles the driver; what it leaves out of the driver API is there by name and fails."""
    spec = importlib.util.find_spec("pycuda")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(reason("pycuda", "tensorrt"))
    for tool in ("gcc", "readelf"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    extension = next(Path(spec.submodule_search_locations[0]).glob("_driver*.so"))
    symbols = subprocess.run(
        ["readelf", "--dyn-syms", "-W", str(extension)], capture_output=True, text=True, check=True
    )
    rows = (line.split() for line in symbols.stdout.splitlines())
    wanted = {r[7] for r in rows if len(r) >= 8 and r[6] == "UND" and r[7].startswith("cu")}
    source = (HERE / "driver.c").read_text(encoding="utf-8")
    missing = sorted(name for name in wanted if f" {name}(" not in source)
    folder = tmp_path_factory.mktemp("driver")
    program = source + "".join(f"int {name}(void) {{ return 801; }}\n" for name in missing)
    command = ["gcc", "-shared", "-fPIC", "-O1", "-w", "-Wl,-soname,libcuda.so.1", "-x", "c", "-"]
    subprocess.run([*command, "-o", str(folder / "libcuda.so.1")], input=program, text=True, check=True)
    return folder


@pytest.mark.parametrize(
    ("name", "version"),
    [
        *((name, "10.16.1") for name in NAMES),
        *((name, "8.6.1") for name in ("results", "steady", "timed", "types")),
    ],
)
def test_scenario(name: str, version: str, driver: Path, tmp_path: Path) -> None:
    execute("scenarios.py", name, version, driver, tmp_path)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        *((name, "10.16.1") for name in WHOLE),
        *((name, "8.6.1") for name in ("commands", "int8", "protocol", "benchmark")),
    ],
)
def test_the_whole_kit(name: str, version: str, driver: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason=reason("onnx", "test"))
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    if name == "archive":
        pytest.importorskip("pyarrow", reason=reason("pyarrow", "scale"))
    execute("whole.py", name, version, driver, tmp_path)


def execute(file: str, name: str, version: str, driver: Path, folder: Path) -> None:
    if version.startswith("8") and int(np.__version__.split(".")[0]) >= 2:
        pytest.skip("TensorRT 8.6 is refused under numpy 2")
    done = subprocess.run(
        [sys.executable, "-X", "dev", str(HERE / file), name, version, str(folder)],
        env={**os.environ, "LD_LIBRARY_PATH": str(driver)},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", ""), done.stderr
