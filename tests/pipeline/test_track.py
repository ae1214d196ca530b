"""One vehicle: where its plate is, and since when and until when it was read."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.reads import read

from edge_lpr.pipeline.events import Moment
from edge_lpr.pipeline.track import Track
from edge_lpr.types import Quad

TEXT = "皖A12345"


def moment(n: int) -> Moment:
    return Moment(n, n / 10)


def left(quad: Quad) -> float:
    return float(quad[:, 0].min())


def test_a_read_from_before_the_first_is_its_beginning_and_moves_it_nowhere() -> None:
    track = Track(1, "id", read(TEXT, x=140), moment(4), None)
    track.add(read(TEXT, x=130), moment(3), None)
    assert (track.first, track.last, track.shown, track.reads) == (moment(3), moment(4), moment(4), 2)
    assert left(track.corners) == 140
    # How it moves is known by now, both ways.
    assert left(track.expected(0.6, 1.0)) == pytest.approx(160)
    assert left(track.expected(0.1, 1.0)) == pytest.approx(110)
    assert left(track.expected(0.1, 0.1)) == pytest.approx(120)


def test_a_read_since_the_last_is_its_end_though_it_was_seen_later() -> None:
    track = Track(1, "id", read(TEXT, x=100), moment(0), None)
    track.add(read(TEXT, x=110), moment(1), None)
    track.follow(read(TEXT, x=150).corners, moment(5))
    assert (track.last, track.shown) == (moment(5), moment(1))
    track.add(read(TEXT, x=130), moment(3), None)
    assert (track.last, track.shown, track.reads) == (moment(5), moment(3), 3)
    assert left(track.corners) == 150


def test_what_stands_as_it_was_read_is_shown_and_what_was_only_seen_is_not() -> None:
    track = Track(1, "id", read(TEXT, x=100), moment(0), None)
    track.hold(moment(1))
    assert (track.last, track.shown) == (moment(1), moment(1))
    track.follow(track.corners, moment(2))
    track.hold(moment(3))
    assert (track.last, track.shown) == (moment(3), moment(1))
    track.add(read(TEXT, x=100), moment(4), None)
    track.hold(moment(5))
    assert (track.last, track.shown, track.read_at) == (moment(5), moment(5), 0.4)


def test_reads_from_near_are_counted() -> None:
    track = Track(1, "id", read(TEXT, width=79), moment(0), None, near_width=80)
    assert (track.reads, track.near_reads) == (1, 0)
    track.add(read(TEXT, width=80), moment(1), None)
    track.add(read(TEXT, width=81), moment(2), None)
    assert (track.reads, track.near_reads) == (3, 2)


def test_the_crop_is_that_of_the_best_read_of_whenever_it_is() -> None:
    images = [np.full((200, 400, 3), value, np.uint8) for value in (50, 200)]
    track = Track(1, "id", read(TEXT, height=16), moment(4), images[0])
    track.add(read(TEXT, height=32), moment(3), images[1])
    assert track.crop is not None and track.crop.mean() == pytest.approx(200)
    assert track.best.corners[3, 1] - track.best.corners[0, 1] == 32
