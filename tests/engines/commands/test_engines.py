"""`edge-lpr engines` as far as it goes without a GPU."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_lpr.backends.tensorrt.engine_manifest import Machine
from edge_lpr.bundle.manifest import bundled, load_bundle
from edge_lpr.cli import main
from edge_lpr.engines.build import build_jobs, make_manifest
from edge_lpr.engines.build_settings import BuildSettings
from edge_lpr.engines.commands import engines
from edge_lpr.errors import BackendError

NANO = Machine("8.6.2", "Orin Nano", "8.7", integrated=True, platform="aarch64")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not (bundled() / "bundle.json").is_file():
        pytest.skip("needs the default bundle")
    monkeypatch.setenv("EDGE_LPR_ENGINES", str(tmp_path))

    def no_gpu(index: int) -> None:
        raise BackendError("no CUDA here: for this test")

    monkeypatch.setattr("edge_lpr.backends.tensorrt.api.open_gpu", no_gpu)
    for job in build_jobs(load_bundle(), ("fp32",), BuildSettings(det_sizes=("1120x640",))):
        make_manifest(job, NANO, tmp_path, b"plan", 60).write(b"plan")
    return tmp_path


def test_list_tells_what_is_there_and_why_it_cannot_be_checked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["engines", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{folder}: 2 engines"
    assert lines[1] == "this machine: no CUDA here: for this test"
    assert all("unchecked" in line and "TensorRT 8.6.2 on Orin Nano" in line for line in lines[2:])


def test_list_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engines", "list", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["machine"] is None and shown["no_machine"].startswith("no CUDA")
    assert [e["state"] for e in shown["engines"]] == ["unchecked", "unchecked"]


def test_list_on_a_machine_with_a_gpu(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_lpr.engines.engine_cache import entries

    machine = replace(NANO, tensorrt="10.3.0")
    monkeypatch.setattr(engines, "_entries", lambda f, args: (entries(f, machine), machine, ""))
    assert main(["engines", "list"]) == 0
    out = capsys.readouterr().out
    assert out.count("foreign") == 2 and "built with TensorRT 8.6.2, here is 10.3.0" in out


def test_no_engines_says_how_to_make_some(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engines", "list", "--dir", str(folder / "none")]) == 0
    assert "no engines; make some: edge-lpr build" in capsys.readouterr().out


def test_prune_shows_first_and_then_removes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "left.engine").write_bytes(b"x")
    assert main(["engines", "prune", "--dry-run"]) == 0
    assert capsys.readouterr().out.endswith("1 of 3 would be removed\n")
    assert (folder / "left.engine").exists()
    assert main(["engines", "prune"]) == 0
    assert not (folder / "left.engine").exists() and len(list(folder.glob("*.engine"))) == 2
    assert main(["engines", "prune", "--all", "--json"]) == 0
    assert list(folder.glob("*.engine")) == list(folder.glob("*.json")) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["inspect"], 2, "which engine?"),
        (["inspect", "nothing"], 2, "no engine 'nothing'"),
        (["inspect", "fp32"], 2, "'fp32' may be "),
        (["inspect", "det.fp32", "--profile", "9"], 2, "--profile 9: the engine has 0 to 1"),
        (["inspect", "det.fp32"], 1, "no CUDA here"),
        (["list", "det"], 2, "takes no name"),
        (["prune", "--foreign"], 1, "--foreign needs this machine's GPU"),
        (["sort"], 2, "invalid choice: 'sort'"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    assert main(["engines", *arguments]) == code
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def change(**parts: object) -> Callable[[dict[str, Any]], None]:
    """Replaces values of a manifest, named by their place: machine__gpu."""

    def made(raw: dict[str, Any]) -> None:
        for place, value in parts.items():
            node = raw
            *above, last = place.split("__")
            for key in above:
                node = node[key]
            node[last] = value

    return made


def spoil_profile(raw: dict[str, Any]) -> None:
    raw["profiles"][0]["min"] = [1]


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_profile,
        change(machine__tensorrt="8.²", flags={"version_compatible": True}),
        change(machine__compute_capability="²", flags={"hardware_compatible": True}),
        change(machine__gpu="\x1b[2J\u202e"),
        change(machine=7),
        change(machine="integrated"),
        change(engine__bytes=10**300),
        change(build__seconds=10**300),
        change(build__seconds="nan"),
        change(build__created="\udfff"),
        change(flags=[]),
        change(profiles=[7]),
        change(version=["x" * 10_000]),
        change(part={"a": "b"}),
    ],
)
def test_one_bad_manifest_does_not_hide_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[dict[str, Any]], None]
) -> None:
    bad, good = sorted(folder.glob("*.json"))
    raw = json.loads(bad.read_text(encoding="utf-8"))
    spoil(raw)
    bad.write_text(json.dumps(raw), encoding="utf-8")
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "binary.json").write_bytes(bytes(range(256)))
    os.mkfifo(folder / "pipe.json")
    assert main(["engines", "list"]) == 0
    out, err = capsys.readouterr()
    assert good.with_suffix(".engine").name in out and err == ""
    for name in (bad.stem, "deep.json", "binary.json", "pipe.json"):
        assert name in out
    assert not set(out) & set("\x1b\u202e")
    assert main(["engines", "list", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert len(shown["engines"]) == 5
