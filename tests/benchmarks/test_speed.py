"""The CPU benchmark on two rendered scenes; no number of it is looked at."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.extras import reason

from edge_lpr.benchmarks import speed
from edge_lpr.benchmarks.peer_process import Peer
from edge_lpr.errors import BackendError
from edge_lpr.io.image_io import write_image
from edge_lpr.types import Image

ROOT = Path(__file__).resolve().parents[2]
AGENTCLPR = """
import os
import onnxruntime
threads = onnxruntime.InferenceSession("model").get_session_options
class CLPSystem:
    def __call__(self, image):
        print("a library that talks")
        if image[0, 0, 0] > 200:
            raise ValueError("a plate at the border")
        corners = [[40, 90], [200, 90], [200, 141], [40, 141]]
        return [[corners, ["皖A·13H25", 0.9]], [corners, ["停车场", 0.9]]]
"""
ONNXRUNTIME = """
class SessionOptions:
    intra_op_num_threads = 0
class InferenceSession:
    def __init__(self, model, sess_options):
        assert sess_options.intra_op_num_threads == 1
    def get_session_options(self): ...
"""


@pytest.fixture
def scenes(tmp_path: Path, plate_scene: Callable[..., Image]) -> Path:
    """Two scenes of one plate, the second without it and white, labelled."""
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    folder = tmp_path / "scenes"
    folder.mkdir()
    points = [[40, 90], [200, 90], [200, 141], [40, 141]]
    white = plate_scene(x=40)
    white[:] = 250
    write_image(folder / "0.png", plate_scene(x=40))
    write_image(folder / "1.png", white)
    label = json.dumps([{"transcription": "皖A13H25", "points": points}])
    (folder / "det.txt").write_text(f"0.png\t{label}\n1.png\t[]\n", encoding="utf-8")
    return folder


@pytest.fixture
def peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a package that stands in for AgentCLPR, and one for the ONNX Runtime that it has."""
    folder = tmp_path / "peers"
    for name, code in (("agentclpr", AGENTCLPR), ("onnxruntime", ONNXRUNTIME)):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(code, encoding="utf-8")
    info = folder / "agentclpr-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: agentclpr\nVersion: 9.9\n", encoding="utf-8")
    return folder


def test_each_reader_reads_each_image(
    tmp_path: Path,
    scenes: Path,
    peers: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(speed, "SETTLE", 0.0)
    # An interpreter of its own: this one, which finds the peers' packages first.
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{peers}" exec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    out = tmp_path / "speed.json"
    words = [str(scenes), "--repeats", "2", "--before", str(ROOT), "--json", str(out)]
    assert speed.main([*words, "--peer", "agentclpr", "--python", str(python)]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert json.loads(capsys.readouterr().out) == found
    readers = found["readers"]
    assert list(readers) == ["edge-lpr", "edge-lpr, FP32", "edge-lpr, before", "agentclpr"]
    for name in list(readers)[:3]:
        own = readers[name]
        assert (own["recall"], own["precision"], own["plates"], own["failed_images"]) == (1.0, 1.0, 1, 0)
        assert own["cpu_ms_per_image"] > 0 and own["by_round"][0] <= own["by_round"][1]
        assert "ONNX Runtime on cpu" in own["version"]
    assert readers["edge-lpr"]["of_edge_lpr_time"] == 1
    other = readers["agentclpr"]
    assert (other["version"], other["recall"], other["precision"]) == ("9.9", 1.0, 1.0)
    assert other["failed_images"] == 1
    assert found["images"] == 2 and found["page_of_200_words"]["crops"] >= 200
    assert found["machine"]["cores"] >= 1 and found["peak_memory_mb"] > 10


def test_a_reader_that_is_not_there_is_told() -> None:
    with pytest.raises(BackendError, match=r"agentclpr cannot read in .*: .*No module named"):
        Peer("agentclpr", "agentclpr", sys.executable, 1).__enter__()
    with pytest.raises(BackendError, match="rapidocr: /no/python cannot be started: No such file"):
        Peer("rapidocr", "rapidocr", "/no/python", 1).__enter__()


def test_cut_out_plates_are_no_scenes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / "0.png", np.full((24, 94, 3), 90, np.uint8))
    (tmp_path / "rec.txt").write_text("0.png\t皖A13H25\n", encoding="utf-8")
    assert speed.main([str(tmp_path)]) == 2
    assert f"{tmp_path}: no labelled scene in it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--peer", "rapidocr"], "--peer needs --python, the interpreter that has it"),
        (["--before", "/nowhere"], "--before /nowhere: holds no edge_lpr; expected a checkout of this kit"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_read(
    words: list[str], said: str, scenes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert speed.main([str(scenes), *words]) == 2
    assert said in capsys.readouterr().err
