"""The figures of /metrics, as Prometheus' own reader takes them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.extras import reason

pytest.importorskip("prometheus_client", reason=reason("prometheus_client", "serve"))
pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

from prometheus_client.parser import text_string_to_metric_families

from edge_lpr.serve.board import CameraBoard
from edge_lpr.serve.database import Database
from edge_lpr.serve.delivery import queue
from edge_lpr.serve.metrics import Metrics
from edge_lpr.serve.output_settings import FilesSettings


def test_all_figures_by_camera_and_output(tmp_path: Path) -> None:
    database = Database(tmp_path / "events.db", queue.SCHEMA)
    queues = queue.Queues(database, {"log": FilesSettings(type="files", folder="x")})
    queues.tended("log", "the folder is not there")
    board = CameraBoard()
    board.arrange({"gate": "h", "yard": "i"})
    board["gate"].counts.frames = 7
    board["gate"].become("live")
    pictures, passages, ages = (
        SimpleNamespace(dropped=3),
        SimpleNamespace(waiting=2, lost=4),
        SimpleNamespace(ahead=5.0),
    )
    metrics = Metrics(board, queues, pictures, passages, ages)  # type: ignore[arg-type]
    metrics.note_latency("gate", 0.4)
    metrics.note_latency("gone", 0.4)
    metrics.forget("gone")
    metrics.forget("never")
    text, kind = metrics.text()
    assert kind.startswith("text/plain")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }
    database.close()
    wanted = {
        ("edge_lpr_camera_frames_total", "gate"): 7,
        ("edge_lpr_camera_frames_total", "yard"): 0,
        ("edge_lpr_camera_state", "gate", "live"): 1,
        ("edge_lpr_camera_state", "gate", "lost"): 0,
        ("edge_lpr_camera_state", "yard", "starting"): 1,
        ("edge_lpr_event_latency_seconds_bucket", "gate", "0.3"): 0,
        ("edge_lpr_event_latency_seconds_bucket", "gate", "0.5"): 1,
        ("edge_lpr_event_latency_seconds_count", "gate"): 1,
        ("edge_lpr_queue_depth", "log"): 0,
        ("edge_lpr_output_delivered_total", "log"): 0,
        ("edge_lpr_pictures_dropped_total",): 3,
        ("edge_lpr_events_waiting",): 2,
        ("edge_lpr_events_lost_total",): 4,
        ("edge_lpr_clock_ahead_seconds",): 5,
        ("edge_lpr_output_failing", "log"): 1,
    }
    assert {key: found.get(key) for key in wanted} == wanted
    assert not any("gone" in key for key in found)
