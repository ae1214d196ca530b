"""The unit of systemd."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[2] / "packaging" / "edge-lpr.service"


def keys() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=True, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNIT, encoding="utf-8")
    return parser


def test_it_is_watched_reloaded_and_started_again() -> None:
    service = keys()["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 0
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert service["Restart"] == "always"
    assert int(service["TimeoutStopSec"]) > 5
    assert service["ExecStartPre"] == service["ExecStart"].replace("serve ", "serve --check ")


def test_what_it_keeps_lies_in_folders_of_its_own() -> None:
    service = keys()["Service"]
    # DynamicUser has no home: without it, speeds would be measured at each start.
    assert service["Environment"] == "XDG_CACHE_HOME=/var/cache"
    assert service["StateDirectory"] == service["CacheDirectory"] == "edge-lpr"


def test_what_would_hide_cameras_and_gpu_is_not_set() -> None:
    assert not set(keys()["Service"]) & {
        *("PrivateDevices", "DevicePolicy", "DeviceAllow", "ProtectClock", "MemoryDenyWriteExecute")
    }


def test_systemd_takes_every_key_and_finds_little_exposed(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    unit = tmp_path / "edge-lpr.service"
    text = UNIT.read_text(encoding="utf-8")
    unit.write_text(text.replace("/opt/edge-lpr/bin/edge-lpr", sys.executable), encoding="utf-8")
    verified = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    unit.write_text(unit.read_text(encoding="utf-8").replace("WatchdogSec", "WatchdogSecs"), encoding="utf-8")
    wrong = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert "WatchdogSecs" in wrong.stderr  # it would have said so
    looked = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", unit], capture_output=True, text=True, check=False
    )
    if looked.returncode:  # before systemd 250
        pytest.skip("this systemd-analyze looks at no file")
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", looked.stdout)
    assert exposure is not None
    assert float(exposure[1]) <= 2.5
