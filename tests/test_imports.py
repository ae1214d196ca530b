"""Imports run one way: edge_lpr ← export, engines, calib, finetune ← benchmarks; and never in a circle."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.extras import reason

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("export", "engines", "calib", "finetune")
# What the runtime must not bring along, however it is started.
HEAVY = (
    *("av", "onnx", "torch", "paddle", "shapely", "matplotlib", "jinja2", "PIL", "yaml", "pycuda"),
    "tensorrt",
)


def modules() -> dict[str, Path]:
    """All modules of the package by name."""
    found = {}
    for top in ("edge_lpr", *STAGES, "benchmarks"):
        for path in (ROOT / top).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts if top == "edge_lpr" else ("edge_lpr", *parts)).removesuffix(".__init__")
            found[name] = path
    return found


def imported(name: str, path: Path, known: dict[str, Path], *, types: bool) -> set[str]:
    """The modules of the package that a module imports, with or without what only its types need."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if types else iter(_run(tree))
    targets = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            targets |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            base = node.module or ""
            targets |= {f"{base}.{a.name}" if f"{base}.{a.name}" in known else base for a in node.names}
    return {target for target in targets if target in known and target != name}


def _run(tree: ast.Module) -> list[ast.stmt]:
    """All imports but those that only the type checker sees: of the module and of its functions."""
    found: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        found.extend(n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom))
    return found


def packages(name: str) -> set[str]:
    """The packages around a module."""
    parts = name.split(".")
    return {".".join(parts[:i]) for i in range(1, len(parts))}


def room(name: str) -> str:
    """The folder of the house that a module lies in."""
    second = name.split(".")[1] if "." in name else ""
    return second if second in (*STAGES, "benchmarks") else "edge_lpr"


def test_imports_run_one_way() -> None:
    known = modules()
    assert len(known) > 100
    wrong = []
    for name, path in known.items():
        for target in imported(name, path, known, types=True):
            here, there = room(name), room(target)
            if here != "benchmarks" and there not in (here, "edge_lpr"):
                wrong.append(f"{name} imports {target}")
    assert wrong == []


def test_nothing_imports_in_a_circle() -> None:
    known = modules()
    graph = {name: imported(name, path, known, types=False) for name, path in known.items()}
    for name, targets in graph.items():
        # Before a module the packages around it run. Those around the importer itself have begun to already:
        # an __init__ that imports from its own package is no circle.
        around = {package for target in targets for package in packages(target)}
        targets.update((around & set(known)) - packages(name) - {name})
    done: set[str] = set()
    circles: list[str] = []

    def walk(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            circles.append(" -> ".join((*trail[trail.index(name) :], name)))
            return
        if name not in done:
            for target in sorted(graph[name]):
                walk(target, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        walk(name, ())
    assert circles == []


def test_every_package_is_installed() -> None:
    # Python 3.10 has no reader of TOML.
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^packages = \[$(.*?)^\]$", text, re.MULTILINE | re.DOTALL)
    there = {name for name, path in modules().items() if path.name == "__init__.py"}
    assert sorted(re.findall(r'"([\w.]+)"', listed)) == sorted(there)
    folders = {path.parent for path in modules().values()}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


@pytest.mark.parametrize(
    "start", ["edge_lpr", "edge_lpr.cli", "edge_lpr.cli.read.command", "edge_lpr.backends.tensorrt.backend"]
)
def test_the_runtime_is_light(start: str) -> None:
    slow = (*HEAVY, "ssl", "urllib.request")  # with all of HTTP, for cameras that have it
    program = f"import sys, {start}; print(*sorted(m for m in {slow!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("part", ["det", "rec"])
def test_a_config_is_printed_without_any_extra_but_pyyaml(part: str) -> None:
    pytest.importorskip("yaml", reason=reason("yaml", "finetune"))
    heavy = (*(name for name in HEAVY if name != "yaml"), "rapidfuzz", "onnxruntime")
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({heavy!r})); "
        f"from edge_lpr.cli import main; sys.exit(main(['finetune', {part!r}, '--print-config']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"model_type: {part}" in done.stdout


UNIX = ("fcntl", "resource")


def test_what_windows_lacks_is_imported_under_guard() -> None:
    for name, path in modules().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        guarded = {n for node in ast.walk(tree) if isinstance(node, ast.Try) for n in ast.walk(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import) and {alias.name for alias in node.names} & set(UNIX):
                assert node in guarded, f"{name}: imports {ast.unparse(node)} without a way around it"
            assert not (isinstance(node, ast.ImportFrom) and node.module in UNIX), (
                f"{name}: {ast.unparse(node)}"
            )


def test_every_module_is_imported_where_a_system_has_neither() -> None:
    # What other packages do without them is their affair; the slow ones are left out.
    program = f"""
import builtins, importlib, sys
sys.modules.update(torch=None, paddle=None, matplotlib=None)
real = builtins.__import__

def on_windows(name, globals=None, *rest):
    if name in {UNIX!r} and str((globals or {{}}).get("__name__")).startswith("edge_lpr"):
        raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
    return real(name, globals, *rest)

builtins.__import__ = on_windows
imported = 0
for name in {sorted(name for name in modules() if not name.endswith("__main__"))!r}:
    try:
        importlib.import_module(name)
        imported += 1
    except ModuleNotFoundError as e:
        if e.name in {UNIX!r} or str(e.name).startswith("edge_lpr"):
            raise
from edge_lpr.environment import peak_memory
print(imported > 80, peak_memory())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "True None\n"), done.stderr
