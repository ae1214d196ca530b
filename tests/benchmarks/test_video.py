"""What a video's vehicles are compared with."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edge_lpr.benchmarks import video
from edge_lpr.benchmarks.films import FILMS, Film, Passage
from edge_lpr.benchmarks.video import Reading, main, read_film, read_with_peer, score, vote
from edge_lpr.errors import BackendError
from edge_lpr.pipeline.windows import Window

ROOT = Path(__file__).resolve().parents[2]
BOX = Window(100, 100, 180, 125)
TRUTH = [Passage("皖A13H25", 1.0, 3.0), Passage("苏C7Y773", 4.0, 6.0)]


def reading(*events: Passage, cpu: float = 10.0) -> Reading:
    return Reading(list(events), 100, 10.0, cpu, 100, 1.0)


def test_a_score_names_what_is_found_late_and_extra() -> None:
    reference = reading(*TRUTH)
    found = score(
        reading(Passage("皖A13H25", 1.1, 2.7), Passage("苏C7Y778", 4.0, 6.0), cpu=2.5), TRUTH, reference
    )
    assert (found["found"], found["extra"], found["late"], found["early"]) == (1, 1, 0.1, 0.3)
    assert [event[0] for event in found["events"]] == ["皖A13H25", "wrong"]
    assert found["differs"] is None and found["times_faster"] == 4 and found["cpu_seconds_per_hour"] == 900
    same = score(reading(Passage("皖A13H25", 0.9, 3.1), TRUTH[1]), TRUTH, reference)
    assert (same["found"], same["extra"], same["late"], same["early"], same["differs"]) == (2, 0, 0, 0, 0.1)


def test_the_plate_that_most_frames_show_counts() -> None:
    texts = ["皖A13H25", "皖A13H25", "皖·A13H2S", "皖A13H2", "停车场", "皖A13H25"]
    frames = [(n / 10, [(text, (BOX.corners + 3 * n).astype(np.float32))]) for n, text in enumerate(texts)]
    frames += [(at, [("苏C7Y773", BOX.corners)]) for at in (9.0, 9.1, 12.0)]
    assert vote(frames) == [Passage("皖A13H25", 0.0, 0.5), Passage("苏C7Y773", 9.0, 9.1)]


def test_a_film_says_what_it_shows(tmp_path: Path) -> None:
    film = FILMS["fast"]
    short = Film("", film.vehicles, 1.6, 20)
    (passage,) = short.write(tmp_path / "fast.mp4")
    assert passage.text == film.vehicles[0].plate.text and 0.8 <= passage.first <= passage.last < 1.6
    assert read_film(tmp_path / "fast.mp4", "auto", 1).frames == 32


def test_each_precision_is_compared_with_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    read: list[tuple[str, str]] = []

    def fake(path: Path, gate: str, threads: int, precision: str) -> Reading:
        read.append((gate, precision))
        cpu = {"fp32": 8.0, "int8-cpu": 4.0}[precision] / (1 if gate == "off" else 2)
        return reading(*TRUTH, cpu=cpu)

    monkeypatch.setattr(video, "read_film", fake)
    (found,) = video.compare(["sample"], [], "", 1, tmp_path, ("fp32", "int8-cpu"))
    assert read == [(gate, precision) for precision in ("fp32", "int8-cpu") for gate in ("off", "auto")]
    faster = {way: result["times_faster"] for way, result in found["films"]["sample"].items()}
    assert faster == {
        "gate off, fp32": 1,
        "gate auto, fp32": 2,
        "gate off, int8-cpu": 1,
        "gate auto, int8-cpu": 2,
    }


def test_another_reader_has_an_interpreter_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Film("", (), 0.3, 10).write(tmp_path / "empty.mp4")
    with pytest.raises(BackendError, match=r"rapidocr cannot read empty\.mp4 in .*: .*rapidocr"):
        read_with_peer("rapidocr", sys.executable, tmp_path / "empty.mp4", 1)
    package = tmp_path / "peers" / "rapidocr"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "import numpy as np\n"
        "class Result:\n"
        "    txts, boxes = ('皖A13H25',), np.array([[[0, 0], [9, 0], [9, 3], [0, 3]]], np.float32)\n"
        "class RapidOCR:\n"
        "    def __init__(self, params):\n"
        "        assert params == {'EngineConfig.onnxruntime.intra_op_num_threads': 1}\n"
        "        self.frames = 0\n"
        "    def __call__(self, image):\n"
        "        print('a library that talks')\n"
        "        self.frames += 1\n"
        "        if self.frames == 2:\n"
        "            raise ValueError('a box without pixels')\n"
        "        return Result()\n",
        encoding="utf-8",
    )
    info = tmp_path / "peers" / "rapidocr-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rapidocr\nVersion: 9.9\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "peers"))
    with monkeypatch.context() as hurried:
        hurried.setattr(video, "_LIMIT", 0.0)
        with pytest.raises(BackendError, match=r"rapidocr has not read empty\.mp4 within 0 s"):
            read_with_peer("rapidocr", sys.executable, tmp_path / "empty.mp4", 1)
    found, release = read_with_peer("rapidocr", sys.executable, tmp_path / "empty.mp4", 1)
    assert release == "9.9" and (found.frames, found.errors) == (3, 1) and found.seconds == pytest.approx(0.3)
    assert [event.text for event in found.events] == ["皖A13H25"]


def test_another_version_of_this_kit_follows_vehicles_itself(tmp_path: Path) -> None:
    film = FILMS["fast"]
    (passage,) = Film("", film.vehicles, 1.6, 12).write(tmp_path / "fast.mp4")
    found, release = read_with_peer("edge-lpr", sys.executable, tmp_path / "fast.mp4", 1, str(ROOT))
    assert [event.text for event in found.events] == [passage.text] and found.frames == 19
    assert found.seconds == pytest.approx(1.6, abs=0.05) and found.cpu > 0 and "ONNX Runtime" in release


def test_what_is_no_checkout_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--before", "/nowhere"]) == 2
    assert "--before /nowhere: holds no edge_lpr" in capsys.readouterr().err


def test_another_reader_needs_an_interpreter(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--peer", "rapidocr"]) == 2
    assert "--python" in capsys.readouterr().err
