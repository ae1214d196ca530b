"""What to type for what is missing, from wherever this copy came; its name on the index is not ours."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from edge_lpr import installing
from edge_lpr.installing import install_command

ROOT = Path(__file__).resolve().parents[1]


def installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, origin: dict[str, object] | None, *requires: str
) -> None:
    """Lets this copy be one in site-packages, which pip put there from `origin`."""
    info = folder / "edge_lpr-0.1.0.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.4", "Name: edge-lpr", "Version: 0.1.0", *requires]
    (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if origin is not None:
        (info / "direct_url.json").write_text(json.dumps(origin), encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(installing, "ROOT", folder)


def test_a_checkout_is_named_with_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checkout = tmp_path / "my clone"
    checkout.mkdir()
    (checkout / "pyproject.toml").touch()
    installed(tmp_path, monkeypatch, {"url": checkout.as_uri(), "dir_info": {}})
    monkeypatch.setattr(installing, "ROOT", checkout)
    assert shlex.split(install_command("export")) == ["pip", "install", f"{checkout}[export]"]


def test_an_editable_copy_stays_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    installed(tmp_path, monkeypatch, {"url": tmp_path.as_uri(), "dir_info": {"editable": True}})
    assert shlex.split(install_command("calib")) == ["pip", "install", "-e", f"{tmp_path}[calib]"]
    assert install_command().startswith("pip install --force-reinstall --no-deps -e ")


def test_a_wheel_that_is_still_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wheel = tmp_path / "edge_lpr-0.1.0-py3-none-any.whl"
    wheel.touch()
    installed(tmp_path, monkeypatch, {"url": wheel.as_uri(), "archive_info": {}})
    assert shlex.split(install_command("cpu")) == ["pip", "install", f"{wheel}[cpu]"]
    assert shlex.split(install_command())[-1] == str(wheel)


@pytest.mark.parametrize("url", ["file:///no/such/clone", "https://example.org/edge_lpr.git", None])
def test_what_it_came_from_is_gone(url: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = ('Requires-Dist: onnx>=1.17; extra == "calib"', 'Requires-Dist: ruff; extra == "dev"')
    installed(tmp_path, monkeypatch, url and {"url": url, "dir_info": {}}, *lines)
    assert shlex.split(install_command("calib")) == ["pip", "install", "onnx>=1.17"]
    assert install_command() == "install edge-lpr again from its wheel or a clone"
    assert install_command("none").endswith("a clone, with its extra 'none'")


def test_the_condition_of_a_package_stays_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    line = "Requires-Dist: tomli>=2; python_version < '3.11' and extra == \"serve\""
    installed(tmp_path, monkeypatch, None, line)
    assert shlex.split(install_command("serve")) == ["pip", "install", "tomli>=2; python_version < '3.11'"]


def test_here_it_is_this_checkout() -> None:
    assert shlex.split(install_command("calib"))[-1] == f"{ROOT}[calib]"


def test_no_hint_takes_the_name_from_the_package_index() -> None:
    tops = ("edge_lpr", "export", "calib", "engines", "finetune", "benchmarks", "docs", "tests")
    files = [p for top in tops for p in (ROOT / top).rglob("*") if p.suffix in (".py", ".md")]
    wrong = re.compile(r"pip install[^\n`&|]*\bedge-lpr\b")
    told = {p for p in [*files, *ROOT.glob("*.md")] if wrong.search(p.read_text(encoding="utf-8"))}
    assert told <= {Path(__file__).resolve()}
