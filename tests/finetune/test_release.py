from __future__ import annotations

import hashlib
import json
import shlex
from importlib.resources import files
from pathlib import Path

import pytest
from helpers.extras import reason

pytest.importorskip("yaml", reason=reason("yaml", "finetune"))

from edge_lpr.cli import command_parser
from edge_lpr.export.settings import load_origin
from edge_lpr.finetune import release
from edge_lpr.finetune.recipe.document import change, default_document, write_document


def test_the_bundle_tells_how_its_weights_were_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for stage, metric in (
        ("slim-1", "hmean"),
        ("slim-2", "hmean"),
        ("slim-3", "hmean"),
        ("rec-1", "accuracy"),
        ("rec-2", "accuracy"),
        ("rec-3", "accuracy"),
    ):
        folder = tmp_path / "runs" / stage
        folder.mkdir(parents=True)
        document = default_document("det" if stage.startswith("slim") else "rec")
        change(document, "Global.epoch_num", 5)
        change(document, "Global.pretrained_model", "/home/user/w.pdparams")
        change(document, "Train.dataset.transforms.DecodeImage", False)
        (folder / "config.yml").write_text(write_document(document), encoding="utf-8")
        rows = [{"step": 1, metric: 0.5}, {"step": 2, metric: 0.75}]
        (folder / "history.json").write_text(json.dumps({"loss": [], "metrics": rows}))
    runs, out = tmp_path / "runs", tmp_path / "out"
    (runs / "det").mkdir()
    (runs / "det" / "final.pdparams").write_bytes(b"its teacher")
    # While one of these is missing, a run is at work yet: nothing is written.
    for end in map(Path, ("slim/final.pdparams", "rec/final.pdparams", "rec/keys.txt", "rec/charset.txt")):
        assert release.main(["bundle", "--runs", str(runs), "--out", str(out)]) == 2
        refused = capsys.readouterr()
        assert f"{runs / end.parent}: holds no {end.name}; finish the runs with: " in refused.err
        assert (refused.out, refused.err.count("\n"), (runs / "origin.json").exists()) == ("", 1, False)
        (runs / end).parent.mkdir(exist_ok=True)
        (runs / end).touch()
    assert release.main(["bundle", "--runs", str(runs), "--out", str(out)]) == 0
    told = json.loads((runs / "origin.json").read_text(encoding="utf-8"))
    assert set(told) == {"made"}
    assert told["made"]["slim-2"] == {
        "config": {"Global.epoch_num": 5},
        "held_out": {"step": 2, "hmean": 0.75},
    }
    assert told["made"]["rec-3"]["held_out"]["accuracy"] == 0.75
    shipped = json.loads((files("edge_lpr") / "bundles/default/bundle.json").read_text(encoding="utf-8"))
    # The bundle that ships tells of its teacher's runs too.
    assert set(told["made"]) == set(shipped["origin"]["made"]) - {"det-1", "det-2"}
    assert told["made"]["teacher"] == {"sha256": hashlib.sha256(b"its teacher").hexdigest()}
    # What is printed is the command, nothing else, and every option is one that it has.
    program, command_name, *words = shlex.split(capsys.readouterr().out)
    assert (program, command_name) == ("edge-lpr", "export")
    args = command_parser("export").parse_args(words)
    assert args.det == runs / "slim" / "final.pdparams"
    assert (args.rec_width, args.rec_resize_mode) == ([160], "stretch")
    assert (args.out, args.origin, args.det_max) == (out, runs / "origin.json", 1376)
    assert load_origin(args.origin) == told


@pytest.mark.parametrize("content", ["{", "[]", '{"metrics": []}', '{"metrics": [{"step": 1}]}'])
def test_damaged_runs_are_one_line(tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "slim-1").mkdir()
    (tmp_path / "det").mkdir()
    (tmp_path / "det" / "final.pdparams").write_bytes(b"its teacher")
    (tmp_path / "slim-1" / "config.yml").write_text(write_document(default_document("det")), encoding="utf-8")
    (tmp_path / "slim-1" / "history.json").write_text(content)
    assert release.main(["bundle", "--runs", str(tmp_path)]) == 2
    told = capsys.readouterr()
    assert told.err.startswith(f"release: {tmp_path / 'slim-1' / 'history.json'}: ")
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert not (tmp_path / "origin.json").exists()


def test_missing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["bundle", "--runs", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert f"{tmp_path / 'slim-1'}: holds no history.json; make the run with: python -m " in told
    assert told.count("\n") == 1


def test_held_out_figures(shared_data: Path) -> None:
    pytest.importorskip("rapidfuzz", reason=reason("rapidfuzz", "evaluate"))
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    lines = release.held_out([shared_data / "ccpd"], None).splitlines()
    assert lines[0].startswith("ccpd: 6 plates in scenes, recall ")
    assert lines[-1].startswith("all: plates cut out, ")
