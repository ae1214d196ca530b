"""Frames that wait for their reader."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from helpers.waiting import LONG

from edge_lpr.io.frame_queue import LOST, FrameQueue, WaitingFrame


class Process:
    """Notes which slots come back."""

    def __init__(self) -> None:
        self.freed: list[int] = []

    def free(self, slot: int) -> None:
        self.freed.append(slot)


def frames(count: int) -> tuple[Any, list[WaitingFrame]]:
    process: Any = Process()
    image = np.zeros((2, 2, 3), np.uint8)
    return process, [WaitingFrame(process, i, image, i, float(i), None) for i in range(count)]


def test_a_video_is_given_in_full() -> None:
    process, given = frames(3)
    queue = FrameQueue()
    for frame in given:
        queue.put(frame)
    queue.end()
    assert [queue.take(0) for _ in range(4)] == [*given, None]
    assert queue.ended and process.freed == [] and queue.passed_over == 0


def test_the_newest_takes_the_place_of_the_one_that_waits_but_not_across_a_loss() -> None:
    process, given = frames(4)
    queue = FrameQueue()
    queue.put(given[0], newest=True)
    queue.put(given[1], newest=True)
    queue.put(LOST)
    queue.put(given[2], newest=True)
    queue.put(given[3], newest=True)
    assert process.freed == [0, 2] and queue.passed_over == 2
    assert [queue.take(0) for _ in range(4)] == [given[1], LOST, given[3], None]


def test_who_waits_gets_it_at_once_and_learns_of_the_end() -> None:
    _, given = frames(1)
    queue = FrameQueue()
    threading.Timer(0.05, queue.put, (given[0],)).start()
    assert queue.take(LONG) is given[0] and not queue.ended
    threading.Timer(0.05, queue.end).start()
    assert queue.take(LONG) is None and queue.ended
    queue.put(given[0])
    queue.clear()
    assert queue.take(0) is None
