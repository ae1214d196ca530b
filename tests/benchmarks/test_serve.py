"""The benchmark of the service: its arithmetic, and one run of all of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.extras import reason

pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
pytest.importorskip("prometheus_client", reason=reason("prometheus_client", "serve"))
pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))
pytest.importorskip("starlette", reason=reason("starlette", "serve"))
pytest.importorskip("uvicorn", reason=reason("uvicorn", "serve"))

from edge_lpr.benchmarks import serve
from edge_lpr.benchmarks.rtsp_films import gst_python
from edge_lpr.benchmarks.serve import main, measure, recall, row, soak
from edge_lpr.benchmarks.serve_run import Look, quantile
from edge_lpr.errors import BackendError

ROOT = Path(__file__).resolve().parents[2]


def look(**buckets: float) -> Look:
    name = "edge_lpr_event_latency_seconds_bucket"
    figures = {f'camera="a",le="{limit.replace("_", ".")[1:]}"': value for limit, value in buckets.items()}
    return Look(0, 0, 0, 0, 0, 0, 0, {name: figures})


def test_latencies_are_estimated_within_their_bucket() -> None:
    before, after = look(b0_1=5, b0_2=5, b1=5), look(b0_1=5, b0_2=15, b1=25)
    assert quantile(0.5, before, after) == pytest.approx(0.2)
    assert quantile(0.25, before, after) == pytest.approx(0.15)
    assert quantile(0.75, before, after) == pytest.approx(0.6)
    assert quantile(0.5, after, after) is None
    beyond = Look(
        0, 0, 0, 0, 0, 0, 0, {"edge_lpr_event_latency_seconds_bucket": {'le="1.0"': 0, 'le="+Inf"': 4}}
    )
    assert quantile(0.5, look(), beyond) == 1.0


def event(id_: str, text: str, second: int, camera: str = "c1", revision: int = 1) -> dict[str, Any]:
    first = f"2026-11-27T00:00:{second:02}.000Z"
    return {"id": id_, "camera": camera, "text": text, "first_utc": first, "revision": revision}


def test_vehicles_are_found_with_the_text_that_was_told_last_and_within_the_window() -> None:
    start = 1795737600.0  # 2026-11-27T00:00:00Z
    events = [
        event("a", "苏E7K520", 5),
        event("a", "苏E7K52M", 5, revision=2),
        event("b", "苏E7K52M", 15),
        event("c", "苏E7K52M", 18),
        event("d", "京N4H916", 6),
        event("e", "京N4H9I6", 7),
        event("f", "浙A62318", 50),
        event("g", "浙A62318", 6, camera="c2"),
    ]
    result = {"cameras": 2, "window": [start, start + 20]}
    expected = {"vehicles": 24, "found": 4, "recall": 0.1667, "wrong": 1, "again": 1}
    assert recall(events, result, turns=2) == expected
    assert "window" not in result


class Service:
    """Reads so many frames from one look to the next; its memory grows by a MiB."""

    def __init__(self, *frames: int) -> None:
        self.frames = list(frames)
        self.looks = 0

    def look(self) -> Look:
        read = self.frames[min(self.looks, len(self.frames) - 1)]
        self.looks += 1
        figures = {"edge_lpr_camera_frames_total": {'camera="c1"': read}}
        return Look(self.looks, 0, 0, self.looks << 20, 0, 3, 4, figures)


def test_a_soak_tells_memory_by_tenths_up_to_its_last_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "_POLL", 0.0)
    # The last look is nearer to the one before than a hundredth of all.
    found = soak(Service(0, *range(50, 1000, 50), 998, 1000), 1000)
    assert found["frames_read"] == 1000 and found["memory"]["most"] == 22
    assert found["memory"]["tenths"] == [3, 5, 7, 9, 11, 13, 15, 17, 19, 22]
    assert found["descriptors"] == {"tenths": [4] * 10, "most": 4}


def test_cameras_that_stand_still_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "_POLL", 0.0)
    monkeypatch.setattr(serve, "_WARM_UP", 0.0)
    monkeypatch.setattr(serve.time, "monotonic", lambda: 0.0)
    with pytest.raises(BackendError, match="no camera has given a frame for 60 s, after 50"):
        soak(Service(0, 50), 1000)
    with pytest.raises(BackendError, match="a camera stands still: no frame of it for 60 s"):
        measure(Service(0, 50), ["c1"], 96, 1)


def test_all_of_it_runs_over_a_real_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        gst_python()
    except BackendError as e:
        pytest.skip(str(e))
    monkeypatch.setattr(serve, "_WARM_UP", 1.0)
    out = tmp_path / "out.json"
    assert main(["--cameras", "2", "--turns", "1", "--zoom", "0.5", "--json", str(out)]) == 0
    told = json.loads(out.read_text(encoding="utf-8"))
    (run,) = told["runs"]
    assert (run["cameras"], run["vehicles"], told["frames_a_turn"]) == (2, 12, 96)
    assert run["frames_read"] > 0
    assert 0 <= run["recall"] <= 1
    assert run["cpu_cores"] > 0
    assert run["memory_mib"] > 50 < run["decoders_mib"]
    assert "2 cameras: " in capsys.readouterr().out


def test_what_is_committed_is_what_the_page_shows() -> None:
    page = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")

    def runs(name: str) -> list[dict[str, Any]]:
        told = json.loads((ROOT / "benchmarks" / "results" / name).read_text(encoding="utf-8"))
        assert told["note"]
        found: list[dict[str, Any]] = told["runs"]
        return found

    for name in ("serve", "serve-quiet", "serve-1080p", "serve-loaded"):
        for run in runs(f"{name}.json"):
            assert row(run) in page
    told = ("memory", "decoders", "threads", "descriptors")
    for name, least, kinds in (("serve-soak", 100_000, told), ("serve-soak-long", 200_000, told[:1])):
        (soaked,) = runs(f"{name}.json")
        assert f"{soaked['frames_read']:,} frames" in page
        assert soaked["frames_read"] >= least
        for kind in kinds:
            tenths = [soaked[kind]["tenths"][n - 1] for n in (1, 2, 4, 6, 8, 10)]
            figures = [f"{value:g}" for value in (*tenths, soaked[kind]["most"])]
            assert f"| {' | '.join(figures)} |" in page
