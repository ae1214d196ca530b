"""Checks the TensorRT code against the real Python API of each supported version, without a GPU.

    python tests/typing/check.py [--cache DIR]

For each version, mypy --strict runs over the code with stubs made of the real bindings, and `probe.py` looks
into the bindings themselves for what the code asks for by name. Code that is known to be wrong for a version
must be refused too, so that a check that sees nothing is no success. Needs the kit with mypy and
pybind11-stubgen (extra dev), gcc, readelf, and Python 3.10 or 3.11, which the bindings of
8.6.1 exist for.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bindings import Bindings, prepare

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("edge_lpr.backends", "edge_lpr.engines")
MODULES = (
    "edge_lpr.benchmarks.gpu",
    "edge_lpr.benchmarks.gpu_bench",
    "edge_lpr.benchmarks.gpu_parts",
    "edge_lpr.benchmarks.gpu_report",
    "edge_lpr.benchmarks.gpu_measures",
)
BESIDE = ("benchmarks", "calib", "engines", "export", "finetune")

COMMON: dict[str, Any] = {"progress": True, "user_managed": True, "share_profiles": False}
STRONG: dict[str, Any] = {
    **COMMON,
    "network_flags": 2,
    "weak_flags": 1,
    "strongly_typed": True,
    "type_flags": ["FP16", "INT8"],
    "int8_weights": True,
}
VERSIONS: dict[str, dict[str, Any]] = {
    "tensorrt-bindings==8.6.1": {
        **STRONG,
        "network_flags": 1,
        "strongly_typed": False,
        "int8_weights": False,
        "share_profiles": True,
        "progress": False,
        "user_managed": False,
    },
    "tensorrt-cu12-bindings==10.3.0": STRONG,
    "tensorrt-cu12-bindings==10.16.1.11": STRONG,
    "tensorrt-cu13-bindings==11.4.0.106": {
        **COMMON,
        "network_flags": 0,
        "weak_flags": None,
        "strongly_typed": True,
        "type_flags": [],
        "int8_weights": True,
    },
}
# Right for some versions and wrong for others: mypy has to tell which.
TELLTALE = """\
import tensorrt as trt

def old(config: trt.IBuilderConfig) -> None:
    config.set_flag(trt.BuilderFlag.FP16)

def new(config: trt.IBuilderConfig) -> None:
    print(config.progress_monitor)

def none(builder: trt.Builder, network: trt.INetworkDefinition, config: trt.IBuilderConfig) -> int:
    return builder.build_serialized_network(network, config).nbytes
"""
TELLTALE_ERRORS = {
    "8.6.1": {'"IBuilderConfig" has no attribute "progress_monitor"', 'has no attribute "nbytes"'},
    "10.3.0": {'has no attribute "nbytes"'},
    "10.16.1.11": {'has no attribute "nbytes"'},
    "11.4.0.106": {'"type[BuilderFlag]" has no attribute "FP16"', 'has no attribute "nbytes"'},
}


def main() -> int:
    """Runs all checks; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "edge-lpr-typing")
    cache = parser.parse_args().cache.resolve()
    if not (3, 10) <= sys.version_info[:2] <= (3, 11):
        print("tests/typing/check.py needs Python 3.10 or 3.11: TensorRT 8.6.1 has no bindings for others")
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        tree = _tree(Path(temporary))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            problems = [p for found in pool.map(lambda r: _check(r, cache, tree), VERSIONS) for p in found]
    for problem in problems:
        print(problem)
    print("TensorRT API:", f"{len(problems)} problems" if problems else f"{len(VERSIONS)} versions checked")
    return 1 if problems else 0


def _check(requirement: str, cache: Path, tree: Path) -> list[str]:
    bindings = prepare(requirement, cache)
    targets = [a for name in PACKAGES for a in ("-p", name)] + [a for name in MODULES for a in ("-m", name)]
    problems = [f"{requirement}: {line}" for line in _mypy(bindings, cache, tree, targets)]
    found = "\n".join(_mypy(bindings, cache, tree, ["-m", "telltale"]))
    expected = TELLTALE_ERRORS[bindings.version]
    problems += [f"{requirement}: mypy does not see {e!r} in {found!r}" for e in expected if e not in found]
    if found.count("error:") != len(expected):
        problems.append(f"{requirement}: mypy sees more than {sorted(expected)}: {found}")
    probe = [sys.executable, str(Path(__file__).with_name("probe.py")), json.dumps(VERSIONS[requirement])]
    done = subprocess.run(
        probe, env=bindings.environment(tree), cwd=tree, capture_output=True, text=True, check=False
    )
    if done.returncode:
        problems.append(
            f"{requirement}: {done.stderr.strip().splitlines()[-1] if done.stderr else 'probe failed'}"
        )
    return problems


def _mypy(bindings: Bindings, cache: Path, tree: Path, targets: list[str]) -> list[str]:
    """Returns mypy's errors in these modules alone."""
    kept = cache / "mypy" / bindings.version
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    options = ["--follow-imports=silent", "--no-error-summary", "--cache-dir", str(kept)]
    path = os.pathsep.join(map(str, (tree, bindings.stubs)))
    done = subprocess.run(
        [*command, *options, *targets],
        env={**os.environ, "MYPYPATH": path},
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if "error" in line]


def _tree(folder: Path) -> Path:
    """Lays out one package of the folders that lie side by side, as it is installed."""
    package = folder / "edge_lpr"
    package.mkdir()
    for path in (ROOT / "edge_lpr").iterdir():
        (package / path.name).symlink_to(path)
    for name in BESIDE:
        (package / name).symlink_to(ROOT / name)
    (folder / "telltale.py").write_text(TELLTALE, encoding="utf-8")
    return folder


if __name__ == "__main__":
    sys.exit(main())
