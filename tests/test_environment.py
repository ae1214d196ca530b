"""What stands beside figures."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_lpr.environment import cache_folder, machine


def test_names_what_figures_depend_on() -> None:
    found = machine("pytest", "no-such-distribution")
    assert found["cpu"] and found["cores"] >= 1
    assert found["python"] == platform.python_version()
    assert found["versions"]["numpy"] == np.__version__
    assert "pytest" in found["versions"] and "no-such-distribution" not in found["versions"]
    assert json.loads(json.dumps(found)) == found


def test_the_cache_is_where_the_user_has_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert cache_folder("speed") == tmp_path / "edge-lpr" / "speed"


@pytest.mark.skipif(sys.platform != "linux", reason="users without a home are systemd's and containers'")
def test_a_user_without_a_home_is_no_error_and_has_no_cache_in_the_working_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import pwd

    def nobody(number: int) -> pwd.struct_passwd:
        raise KeyError(number)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert cache_folder("speed") == Path("/.cache/edge-lpr/speed")
