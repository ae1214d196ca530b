"""What stands beside figures."""

from __future__ import annotations

import json
import platform

import numpy as np

from edge_lpr.environment import machine


def test_names_what_figures_depend_on() -> None:
    found = machine("pytest", "no-such-distribution")
    assert found["cpu"] and found["cores"] >= 1
    assert found["python"] == platform.python_version()
    assert found["versions"]["numpy"] == np.__version__
    assert "pytest" in found["versions"] and "no-such-distribution" not in found["versions"]
    assert json.loads(json.dumps(found)) == found
