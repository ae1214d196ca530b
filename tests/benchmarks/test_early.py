"""The benchmark of what is told first, on one film; no number of it is looked at."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.extras import reason

from edge_lpr.benchmarks import early
from edge_lpr.benchmarks.early import Told, drawn_film, summary


def test_what_was_told_wrongly_is_counted() -> None:
    found = [Told(0.0, "皖A13H2S", "皖A13H25"), Told(1.0, "苏C7Y773", "苏C7Y773"), Told(0.5, "苏C", "苏C")]
    counted = summary(found, ["皖A13H25", "苏C7Y773"])
    assert (counted["vehicles"], counted["wrong_at_first"], counted["wrong_at_the_end"]) == (3, 2, 1)
    assert (counted["median_delay"], counted["p90_delay"]) == (0.5, 0.9)
    assert summary([], [])["vehicles"] == 0


def test_films_are_the_same_each_time_and_show_two_cars_that_come() -> None:
    film, again = (drawn_film(np.random.default_rng(3)) for _ in range(2))
    assert film == again and film != drawn_film(np.random.default_rng(4))
    assert len({car.plate.text for car in film.vehicles}) == 2
    assert all(car.speed < 0 and car.distance(film.seconds) < 4 for car in film.vehicles[:1])


def test_each_way_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    monkeypatch.setattr(early, "_AWAY", 9.0)
    monkeypatch.setattr(early, "_SECONDS", 1.2)
    out = tmp_path / "early.json"
    way = ["--early-width", "0", "--early-width", "4000", "--max-delay", "0.5"]
    assert early.main(["--films", "1", "--json", str(out), *way]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert [(r["early_width"], r["max_delay"]) for r in found["results"]] == [(0, 0.5), (4000, 0.5)]
    assert all(r["vehicles"] >= 1 for r in found["results"]) and "wrong new" in capsys.readouterr().out
    assert early.main(["--films", "0"]) == 2
    assert "--films 0: leaves nothing to read" in capsys.readouterr().err
