from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_lpr.backends.tensorrt import cuda
from edge_lpr.backends.tensorrt.cuda_graph import CudaGraph
from edge_lpr.errors import BackendError, MissingExtraError

HAS_PYCUDA = importlib.util.find_spec("pycuda") is not None
OPEN = """\
from edge_lpr.backends.tensorrt.cuda import open_gpu
try:
    open_gpu()
except Exception as e:
    print(type(e).__name__, e)
"""


@pytest.mark.skipif(HAS_PYCUDA, reason="pycuda is installed")
def test_without_pycuda() -> None:
    with pytest.raises(MissingExtraError, match=r"of the extra 'tensorrt', .*: pip install .*\[tensorrt\]"):
        cuda.open_gpu()


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "libcuda.so.1: cannot open shared object file: No such file or directory",
            "no NVIDIA driver on this machine (libcuda.so.1 not found)",
        ),
        ("_driver.so: undefined symbol: cuCtxCreate_v4", "the NVIDIA driver is older than the CUDA"),
        ("numpy.core.multiarray failed to import\nmore", "pycuda was built for another numpy"),
        ("", "pycuda cannot be imported"),
    ],
)
def test_why_pycuda_cannot_be_imported(message: str, said: str) -> None:
    explained = cuda._explain_import(message)
    assert said in explained and "\n" not in explained


def _open_with_driver(source: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Opens the GPU in a process of its own, on a libcuda that is made of C source."""
    command = ["gcc", "-shared", "-fPIC", "-w", "-Wl,-soname,libcuda.so.1", "-x", "c", "-"]
    subprocess.run([*command, "-o", str(folder / "libcuda.so.1")], input=source, text=True, check=True)
    return subprocess.run(
        [sys.executable, "-c", OPEN],
        env={**os.environ, "LD_LIBRARY_PATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.skipif(not HAS_PYCUDA, reason="needs pycuda")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_a_driver_without_a_device(tmp_path: Path) -> None:
    """The real pycuda on a driver that is installed and finds no GPU."""
    spec = importlib.util.find_spec("pycuda")
    assert spec is not None and spec.submodule_search_locations
    extension = next(Path(spec.submodule_search_locations[0]).glob("_driver*.so"))
    readelf = ["readelf", "--dyn-syms", "-W", str(extension)]
    rows = subprocess.run(readelf, capture_output=True, text=True, check=True).stdout.splitlines()
    names = {r.split()[7] for r in rows if len(r.split()) >= 8 and r.split()[6] == "UND"}
    source = "".join(
        f"int {n}(void){{return 100;}}\n" for n in names if n.startswith("cu") and "Error" not in n
    )
    source += (
        'int cuGetErrorString(int e, const char **t){*t="no CUDA-capable device is detected";return 0;}\n'
    )
    source += 'int cuGetErrorName(int e, const char **t){*t="CUDA_ERROR_NO_DEVICE";return 0;}\n'
    done = _open_with_driver(source, tmp_path)
    assert done.stdout.startswith("BackendError no CUDA here: cuInit failed: no CUDA-capable device")
    assert done.stdout.count("\n") == 1 and done.stderr == ""


@pytest.mark.skipif(not HAS_PYCUDA, reason="needs pycuda")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_a_driver_that_is_older_than_pycuda(tmp_path: Path) -> None:
    """The real pycuda on a driver that has not the calls that it was built for."""
    done = _open_with_driver("int cuInit(unsigned flags) { return 0; }", tmp_path)
    assert done.stdout.startswith("BackendError no CUDA here: the NVIDIA driver is older than the CUDA that")
    assert done.stdout.count("\n") == 1 and done.stderr == ""


def test_the_kernel_drivers_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "version"
    monkeypatch.setattr(cuda, "DRIVER_FILE", file)
    assert cuda.kernel_driver() == ""
    for text, version in (
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023",
            "535.104.05",
        ),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build", "540.4.0"),
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.82  Mon", "580.82"),
        ("nothing", ""),
    ):
        file.write_text(text, encoding="utf-8")
        assert cuda.kernel_driver() == version


def test_a_graph_without_a_driver_is_an_error() -> None:
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("this machine has a driver")
    with pytest.raises(BackendError, match=r"no such call|failed"):
        CudaGraph(0, lambda: True)
