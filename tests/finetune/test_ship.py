from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_lpr.calib.labels import Plate, Sample
from edge_lpr.errors import InputError
from edge_lpr.finetune import ship
from edge_lpr.finetune.config import load_config


def sample(number: int, plates: bool = True) -> Sample:
    return Sample(Path(f"{number}.jpg"), (Plate("皖A12345", None),) if plates else (), "crops", crop=True)


def test_every_fourth_is_held_out_and_none_is_in_both() -> None:
    samples = [sample(i, plates=i != 7) for i in range(12)]
    learnt, held = ship.split(samples)
    assert [s.path.stem for s in held] == ["3", "11"]
    assert [s.path.stem for s in learnt] == ["0", "1", "2", "4", "5", "6", "7", "8", "9", "10"]


@pytest.mark.parametrize("part", ["det", "rec"])
def test_recipes(part: str) -> None:
    path = Path(ship.__file__).parent / "configs" / f"ship-{part}.json"
    assert load_config(path, part).part == part  # type: ignore[arg-type]


def test_the_bundle_tells_how_its_weights_were_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []

    def export(arguments: list[str]) -> int:
        called.append(arguments)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "bundle.json").write_text('{"origin": {"det": {}}}')
        return 0

    monkeypatch.setattr("edge_lpr.cli.main", export)
    for part, metric in (("det", "hmean"), ("rec", "accuracy")):
        folder = tmp_path / "runs" / part
        folder.mkdir(parents=True)
        (folder / "config.json").write_text('{"steps": 5}')
        rows = [{"step": 1, metric: 0.5}, {"step": 2, metric: 0.75}, {"step": 3, metric: 0.6}]
        (folder / "history.json").write_text(json.dumps({"loss": [], "metrics": rows}))
    assert ship.write_bundle(tmp_path / "runs", tmp_path / "out") == 0
    made = json.loads((tmp_path / "out" / "bundle.json").read_text(encoding="utf-8"))["origin"]["made"]
    assert made["det"] == {"config": {"steps": 5}, "held_out": {"step": 2, "hmean": 0.75}}
    assert made["rec"]["held_out"]["step"] == 2
    assert called[0][0] == "export"
    (tmp_path / "runs" / "rec" / "history.json").unlink()
    (tmp_path / "out" / "bundle.json").unlink()
    (tmp_path / "out").rmdir()
    with pytest.raises(InputError, match=r"holds no history\.json"):
        ship.write_bundle(tmp_path / "runs", tmp_path / "out")
