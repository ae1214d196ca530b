"""The bill of materials: valid CycloneDX, whole, and the same bytes each time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("cyclonedx", reason="needs what the extra 'release' installs")

ROOT = Path(__file__).parents[2]


def make(out: Path) -> str:
    command = [sys.executable, str(ROOT / "tools" / "sbom.py"), "--out", str(out)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return out.read_text(encoding="utf-8")


def test_the_bill_names_packages_and_models(tmp_path: Path) -> None:
    text = make(tmp_path / "a.json")
    assert text == make(tmp_path / "b.json")
    bill = json.loads(text)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    parts = {part["name"]: part for part in bill["components"]}
    pinned = (ROOT / "requirements" / "host.txt").read_text(encoding="utf-8")
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", pinned, re.MULTILINE):
        assert (parts[name]["version"], parts[name]["purl"]) == (version, f"pkg:pypi/{name}@{version}")
    assert parts["numpy"]["scope"] == "required" and parts["pytest"]["scope"] == "optional"
    manifest = json.loads((ROOT / "edge_lpr/bundles/default/bundle.json").read_text(encoding="utf-8"))
    for part in ("det", "rec"):
        for entry in manifest[part]["precisions"].values():
            model = parts[f"{manifest['name']}/{entry['file']}"]
            assert model["type"] == "machine-learning-model"
            assert model["hashes"] == [{"alg": "SHA-256", "content": entry["sha256"]}]
    assert set(re.findall(r"https?://[\w.]+", text)) <= {"http://cyclonedx.org"}
