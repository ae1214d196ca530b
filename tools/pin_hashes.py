"""Writes `requirements/`: what CI installs, each package at one version with the sha256 of its file.

    python tools/pin_hashes.py [test|scale|host|bindings …]

`pip install --require-hashes -r requirements/host.txt` then takes no other file, wherever it comes from: the
files hold hashes and no addresses. pip itself says what it would install, so the hashes are those of the
platform that this runs on: Python 3.11 on x86-64 Linux, as CI. To be run again whenever constraints.txt or an
extra of pyproject.toml changes (a test tells). Hashes that are there of the same version are kept: run on
another platform it adds that platform's files.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "requirements"
SETS = {
    "test": ("cpu", "test"),
    "scale": ("cpu", "test", "scale", "scaletest"),
    "host": ("cpu", "export", "finetune", "test", "dev", "release"),
}
"""Extras by the file that has what they need."""
BINDINGS = "bindings"
"""The file of the TensorRT bindings that `tests/typing/check.py` looks at, several versions of some."""
HEAD = """\
# Made by tools/pin_hashes.py, not to be edited. What for: {what}
# Every file has its sha256: python -m pip install --require-hashes -r requirements/{name}.txt
"""

Pins = dict[tuple[str, str], set[str]]
"""The sha256 of files by name and version."""


def main() -> int:
    """Writes the files that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = [*SETS, BINDINGS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(known)} (default: all)")
    for name in parser.parse_args().names or known:
        pins, what = _pins(name)
        path = FOLDER / f"{name}.txt"
        FOLDER.mkdir(exist_ok=True)
        if path.exists():
            there = parse(path.read_text(encoding="utf-8"))
            pins = {pin: hashes | there.get(pin, set()) for pin, hashes in pins.items()}
        path.write_text(HEAD.format(name=name, what=what) + to_text(pins), encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {len(pins)} packages")
    return 0


def from_report(report: dict[str, Any]) -> Pins:
    """Returns what a report of `pip install --dry-run` would install, this project left out.

    A version's local part ("2.13.0+cpu") goes: it says where a build came from, which its hash says better.

    Raises:
        SystemExit: A package comes from elsewhere than an archive with a sha256.
    """
    pins: Pins = {}
    for item in report["install"]:
        metadata, download = item["metadata"], item["download_info"]
        if "dir_info" in download:
            continue
        sha256 = download.get("archive_info", {}).get("hashes", {}).get("sha256")
        if sha256 is None:
            raise SystemExit(f"{metadata['name']}: comes without a sha256")
        name = re.sub(r"[-_.]+", "-", metadata["name"]).lower()
        pins.setdefault((name, metadata["version"].partition("+")[0]), set()).add(sha256)
    return pins


def to_text(pins: Pins) -> str:
    """Writes pins as pip reads them, in the order of their names."""
    lines = []
    for (name, version), hashes in sorted(pins.items()):
        options = [f"    --hash=sha256:{sha256}" for sha256 in sorted(hashes)]
        lines.append(" \\\n".join([f"{name}=={version}", *options]))
    return "\n".join(lines) + "\n"


def parse(text: str) -> Pins:
    """Reads what `to_text` wrote."""
    pins: Pins = {}
    pin = r"^([\w.-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$"
    for found in re.finditer(pin, text, re.MULTILINE):
        pins[found[1], found[2]] = set(re.findall(r"[0-9a-f]{64}", found[3]))
    return pins


def bindings() -> tuple[str, ...]:
    """Returns the bindings that CI looks at, "tensorrt-bindings==8.6.1"."""
    text = (ROOT / "tests" / "typing" / "check.py").read_text(encoding="utf-8")
    return tuple(re.findall(r'^    "(tensorrt[\w-]*-bindings==[\w.]+)"', text, re.MULTILINE))


def _pins(name: str) -> tuple[Pins, str]:
    if name == BINDINGS:
        pins: Pins = {}
        for requirement in bindings():
            pins |= _report("--no-deps", "--only-binary=:all:", requirement)
        return pins, "tests/typing/check.py"
    extras = ",".join(SETS[name])
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    build = re.findall(r'"([^"]+)"', re.findall(r"^requires = \[(.*)\]$", text, re.MULTILINE)[0])
    # What builds the project too: `pip install --no-build-isolation -e .` then fetches nothing.
    return _report("-c", "constraints.txt", f".[{extras}]", *build), f"the extras {extras}"


def _report(*arguments: str) -> Pins:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    command = [*pip, "--report", "-", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return from_report(json.loads(done.stdout))


if __name__ == "__main__":
    sys.exit(main())
