"""Measured figures are remembered, and nothing depends on that."""

from __future__ import annotations

import json
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


def test_keys_depend_on_every_part() -> None:
    keys = {cache_key("a", "b"), cache_key("ab", ""), cache_key(b"a", "c"), cache_key("a")}
    assert len(keys) == 4
    assert str(QuantConfig("mse", None)) != str(QuantConfig("mse", 0.5))
