"""`edge-lpr compare` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_lpr.cli import main


def test_figures_as_json_alone(bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(bundle), "--data", str(data), "--threads", "1", "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    (fp32,) = found["variants"]
    assert (fp32["precision"], fp32["tasks"]["det"]["subsets"]["all"]["labelled"]) == ("fp32", 12)


def test_a_bundle_without_fp32_has_nothing_to_compare_with(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    raw["det"]["precisions"] = {"int8": raw["det"]["precisions"]["fp32"]}
    (bundle / "bundle.json").write_text(json.dumps(raw), encoding="utf-8")
    assert main(["compare", str(bundle), "--data", str(data)]) == 2
    assert "nothing to compare with" in capsys.readouterr().err


def test_a_gate_on_what_is_not_there_fails(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(bundle), "--data", str(data), "--gate", "int8:0.5"]) == 1
    assert "int8: has a gate, but was not measured" in capsys.readouterr().err
    for gate in ("int8", "int8:x", "fp32:1", "int8:-1"):
        assert main(["compare", str(bundle), "--data", str(data), "--gate", gate]) == 2


def test_an_image_that_cannot_be_read_is_named_and_told_by_the_exit_code(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = sorted((data / "scenes").iterdir())[0]
    damaged.write_bytes(b"no image")
    assert main(["compare", str(bundle), "--data", str(data), "--threads", "1", "--json", "-"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["variants"][0]["tasks"]["det"]["subsets"]["all"]["labelled"] == 11
    assert err.count(f"left out: {damaged}: not an image that edge-lpr reads") == 1
