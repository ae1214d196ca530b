"""What a record holds, and what is a result."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from edge_lpr.outputs.records import FIELDS, Result, results, to_record, utc_stamp
from edge_lpr.pipeline.stream import FrameResult
from edge_lpr.pipeline.wall_clock import utc
from edge_lpr.plates.read import Candidate

Make = Callable[..., Any]
NAMES = [name for name, _, _ in FIELDS]


def test_a_record_has_the_documented_fields_in_order(
    a_read: Make, an_event: Make, a_source: Make, a_frame: Make
) -> None:
    for item, frame in ((an_event(), None), (a_read(), a_frame())):
        assert list(to_record(Result(a_source(), frame, item, "street.mp4"))) == NAMES


def test_an_event_s_record(an_event: Make, a_source: Make) -> None:
    record = to_record(Result(a_source(), None, an_event(), "street.mp4", crop="x.png"))
    assert record == {
        "version": 1, "type": "event", "source": "street.mp4", "text": "皖A13H25", "kind": "blue",
        "score": 0.9, "min_score": 0.8, "char_scores": [0.8, 1.0], "reads": 9, "track": 3,
        "first_frame": 31, "last_frame": 62, "first_seen": 1.235, "last_seen": 2.5,
        "first_utc": None, "last_utc": None,
        "corners": [[10.0, 20.0], [110.0, 20.0], [110.0, 50.0], [10.0, 50.0]], "crop": "x.png",
        "state": "end", "id": "8d7f", "clock_step": None, "candidates": [],
    }  # fmt: skip


def test_what_python_has_is_what_json_lines_have(
    an_event: Make, a_read: Make, a_source: Make, a_frame: Make
) -> None:
    others = (Candidate("皖A12345", np.float64(0.123456)), Candidate("赣A12345", 0.01))
    event = an_event(
        candidates=others, source="camera 0", first_utc=utc(1_700_000_001.25), score=np.float32(0.5)
    )
    for item, frame in ((event, None), (a_read(candidates=others), a_frame())):
        own = item.to_dict()
        record = to_record(Result(a_source("camera 0"), frame, item, "camera 0"))
        assert json.loads(json.dumps(own, allow_nan=False)) == own  # plain values of Python
        assert own == {name: record[name] for name in own}
        assert own["candidates"][0] == {"text": "皖A12345", "score": 0.1235}
    # All that a record has, but for what an event does not know.
    assert set(NAMES) - set(event.to_dict()) == {"version", "type", "crop"}


def test_a_live_source_has_the_time_of_day(
    an_event: Make, a_read: Make, a_source: Make, a_frame: Make
) -> None:
    event = an_event(first_utc=utc(1_700_000_001.25), last_utc=utc(1_700_000_002.5), clock_step=-3599.96)
    record = to_record(Result(a_source("camera 0"), None, event, "camera 0"))
    times = "2023-11-14T22:13:21.250Z", "2023-11-14T22:13:22.500Z"
    assert (record["first_utc"], record["last_utc"]) == times and record["clock_step"] == -3600.0
    frame = a_frame(3, 1.25, "camera 0", wall=1_700_000_001.25)
    record = to_record(Result(a_source("camera 0"), frame, a_read(), "camera 0"))
    assert record["first_utc"] == record["last_utc"] == times[0] and record["state"] is None


def test_an_image_has_no_time(a_read: Make, a_source: Make, a_frame: Make) -> None:
    record = to_record(Result(a_source(), a_frame(3, None, "a.png"), a_read(), "a.png"))
    assert record["first_seen"] is None and record["first_frame"] == record["last_frame"] == 3
    assert record["type"] == "read" and record["reads"] == 1 and record["track"] is None


def test_the_results_of_a_frame(a_read: Make, an_event: Make, a_source: Make, a_frame: Make) -> None:
    source = a_source()

    def found(tracked: bool) -> list[tuple[str, str]]:
        frame_result = FrameResult(source, a_frame(), [a_read()], [an_event(), an_event()], tracked)
        return [(type(r.item).__name__, r.name) for r in results(frame_result)]

    assert [kind for kind, _ in found(tracked=True)] == ["PlateEvent"] * 2
    assert found(tracked=False) == [("PlateRead", "street.mp4")]
    assert results(FrameResult(source, None, [], [], False)) == []


def test_a_moment_in_the_name_of_a_file() -> None:
    assert utc_stamp(1_700_000_000.0) == "20231114T221320Z"
