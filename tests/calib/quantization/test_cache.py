"""Measured figures are remembered, and nothing depends on that."""

from __future__ import annotations

import json
import math
from pathlib import Path

from edge_lpr.calib.quantization.cache import Cache, cache_key
from edge_lpr.calib.quantization.search import QuantConfig


def test_a_damaged_cache_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    for content in ("{", "[1]", '{"fp32": "x"}'):
        path.write_text(content)
        cache = Cache(path)
        assert cache.get("fp32", lambda: 0.5) == 0.5
        assert json.loads(path.read_text()) == {"fp32": 0.5}
    blocked = Cache(tmp_path / "cache.json" / "below")
    assert blocked.get("a", lambda: 1.0) == 1.0


def test_figures_are_there_again_but_for_what_is_no_number(tmp_path: Path) -> None:
    path = tmp_path / "new" / "cache.json"
    cache = Cache(path)
    assert math.isnan(cache.get("int8", lambda: math.nan))
    assert cache.get("fp32", lambda: 0.5) == 0.5
    again = Cache(path)
    assert again.get("fp32", lambda: 0.0) == 0.5
    assert again.get("int8", lambda: 0.25) == 0.25
    assert again.remembered == {"fp32"}


def test_keys_depend_on_every_part() -> None:
    keys = {cache_key("a", "b"), cache_key("ab", ""), cache_key(b"a", "c"), cache_key("a")}
    assert len(keys) == 4
    assert str(QuantConfig("mse", None)) != str(QuantConfig("mse", 0.5))
