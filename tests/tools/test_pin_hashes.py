"""The hashes that CI installs by: of the versions of constraints.txt, of all that is needed, no addresses."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def load(name: str) -> ModuleType:
    """Imports a tool, which no package holds."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = load("pin_hashes")
NAMES = (*tool.SETS, tool.BINDINGS)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def constraints() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(
        r"^([\w.-]+)==([^\s;]+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE
    ):
        found.setdefault(canonical(name), set()).add(version)
    return found


def pins(name: str) -> dict[tuple[str, str], set[str]]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    parsed: dict[tuple[str, str], set[str]] = tool.parse(text)
    return parsed


@pytest.mark.parametrize("name", NAMES)
def test_there_are_hashes_and_nothing_else(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines and "://" not in text and "\n-" not in text and " @ " not in text
    for line in lines:
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line), line
    assert tool.to_text(pins(name)) == "".join(line + "\n" for line in lines)


@pytest.mark.parametrize("name", tuple(tool.SETS))
def test_versions_are_those_of_the_constraints(name: str) -> None:
    known = constraints()
    for package, version in pins(name):
        assert version in known.get(package, {version}), f"{package}: python tools/pin_hashes.py {name}"


@pytest.mark.parametrize("name", tuple(tool.SETS))
def test_all_that_the_extras_name_is_there(name: str) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = set()  # less what has a marker: that is for other versions of Python
    for key in ("requires", "dependencies", *tool.SETS[name]):
        (listed,) = re.findall(rf"^{key} = \[(.*)\]$", text, re.MULTILINE)
        wanted |= {canonical(package) for package in re.findall(r'"([\w.-]+)[^";]*"', listed)}
    missing = wanted - {package for package, _ in pins(name)}
    assert not missing, f"{missing}: python tools/pin_hashes.py {name}"


def test_the_bindings_are_those_that_are_checked() -> None:
    assert {f"{package}=={version}" for package, version in pins(tool.BINDINGS)} == set(tool.bindings())
    assert len(tool.bindings()) == 4


def test_a_report_of_pip_becomes_hashes() -> None:
    def item(name: str, version: str, **download: object) -> dict[str, object]:
        return {"metadata": {"name": name, "version": version}, "download_info": download}

    sha = "ab" * 32
    own = item("edge-lpr", "0.1.0", url="file:///x", dir_info={})
    archive = {"archive_info": {"hashes": {"sha256": sha}}, "url": "https://host.invalid/x"}
    report = {"install": [own, item("Torch_Extra", "2.13.0+cpu", **archive)]}
    found = tool.from_report(report)
    assert tool.to_text(found) == f"torch-extra==2.13.0 \\\n    --hash=sha256:{sha}\n"
    assert tool.parse(tool.to_text(found)) == found
    with pytest.raises(SystemExit, match="a: comes without a sha256"):
        tool.from_report({"install": [item("a", "1", url="x", vcs_info={})]})
