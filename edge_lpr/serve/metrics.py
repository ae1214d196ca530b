"""The figures of /metrics, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from edge_lpr.environment import memory, tool
from edge_lpr.serve.age_clock import AgeClock
from edge_lpr.serve.board import CameraBoard, CameraStateName
from edge_lpr.serve.delivery.queue import Queues
from edge_lpr.serve.passages import Passages
from edge_lpr.serve.pictures import Pictures

__all__ = ["Metrics"]

_LATENCIES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_COUNTERS = (
    ("frames", "frames that were read"),
    ("dropped", "frames that were passed over for a newer one"),
    ("reads", "plates that were read in frames"),
    ("events", "records of passages: new, update and end"),
    ("reconnects", "how often the camera was lost"),
    ("failures", "frames that could not be read though they came"),
)


class Metrics(Collector):
    """All figures of the service, in a registry of its own.

    Args:
        board: The cameras.
        queues: The outputs' queues.
        pictures: The pictures.
        passages: The passages.
        ages: How old what is kept is.
    """

    def __init__(
        self,
        board: CameraBoard,
        queues: Queues,
        pictures: Pictures,
        passages: Passages,
        ages: AgeClock,
    ) -> None:
        self._registry = CollectorRegistry()
        self._latency = Histogram(
            "edge_lpr_event_latency_seconds",
            "from the moment a frame came to the moment its event is on the disk",
            ["camera"],
            buckets=_LATENCIES,
            registry=self._registry,
        )
        self._board = board
        self._queues = queues
        self._pictures = pictures
        self._passages = passages
        self._ages = ages
        self._registry.register(self)

    def note_latency(self, camera: str, seconds: float) -> None:
        """Counts how long an event took."""
        self._latency.labels(camera).observe(max(0.0, seconds))

    def forget(self, camera: str) -> None:
        """Leaves out a camera that is gone."""
        if (camera,) in self._latency._metrics:  # `remove` logs a warning of its own
            self._latency.remove(camera)

    def text(self) -> tuple[bytes, str]:
        """Returns the figures, and their media type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterable[Metric]:
        """Gives what others count, looked up as it is asked for."""
        about = GaugeMetricFamily("edge_lpr_info", "the kit's version", labels=["version"])
        about.add_metric([tool()], 1)
        yield about
        yield from self._cameras()
        yield from self._outputs()
        yield CounterMetricFamily(
            "edge_lpr_pictures_dropped", "pictures that were not kept", value=self._pictures.dropped
        )
        yield GaugeMetricFamily(
            "edge_lpr_events_waiting", "records that wait for the disk", value=self._passages.waiting
        )
        yield CounterMetricFamily(
            "edge_lpr_events_lost",
            "records that are lost, as more had to wait for the disk than memory is given to",
            value=self._passages.lost,
        )
        yield GaugeMetricFamily(
            "edge_lpr_clock_ahead_seconds",
            "what the clock says has gone, and what is kept has not aged by yet",
            value=self._ages.ahead,
        )
        if (used := memory()) is not None:
            yield GaugeMetricFamily(
                "edge_lpr_memory_bytes", "resident memory, without what decodes cameras", value=used
            )

    def _cameras(self) -> Iterable[Metric]:
        cameras = self._board.snapshot()
        for name, help_ in _COUNTERS:
            counter = CounterMetricFamily(f"edge_lpr_camera_{name}", help_, labels=["camera"])
            for camera in cameras:
                counter.add_metric([camera.name], getattr(camera.counts, name))
            yield counter
        rate = GaugeMetricFamily("edge_lpr_camera_fps", "frames that are read a second", labels=["camera"])
        state = GaugeMetricFamily("edge_lpr_camera_state", "1 for how it is", labels=["camera", "state"])
        for camera in cameras:
            rate.add_metric([camera.name], camera.fps)
            for one in get_args(CameraStateName):
                state.add_metric([camera.name, one], float(one == camera.state))
        yield rate
        yield state

    def _outputs(self) -> Iterable[Metric]:
        depth = GaugeMetricFamily("edge_lpr_queue_depth", "events that wait for an output", labels=["output"])
        found = self._queues.counts()
        for name, counts in found.items():
            depth.add_metric([name], counts.waiting)
        yield depth
        failing = GaugeMetricFamily(
            "edge_lpr_output_failing", "1 where the last try failed", labels=["output"]
        )
        for name, counts in found.items():
            failing.add_metric([name], float(bool(counts.failing)))
        yield failing
        for kind in ("delivered", "given_up", "dropped"):
            counter = CounterMetricFamily(
                f"edge_lpr_output_{kind}", f"events that were {kind.replace('_', ' ')}", labels=["output"]
            )
            for name, counts in found.items():
                counter.add_metric([name], getattr(counts, kind))
            yield counter
