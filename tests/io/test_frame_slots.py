"""Frames in memory that two processes share; here both sides are in one."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from edge_lpr.io.frame_slots import SLOTS, SlotReader, SlotWriter


def picture(value: int, height: int = 4, width: int = 6) -> NDArray[np.uint8]:
    return np.full((height, width, 3), value, np.uint8)


def pair() -> tuple[SlotReader, SlotWriter]:
    reader = SlotReader()
    return reader, SlotWriter(reader.name)


def test_what_is_written_is_read() -> None:
    reader, writer = pair()
    for value in (7, 8):
        slot = writer.write(picture(value), None)
        assert slot is not None
        view = reader.view(slot, writer.slot_bytes, 4, 6)
        assert view.shape == (4, 6, 3) and (view == value).all()
    reader.close()
    reader.close()
    assert (view == 8).all()  # a view outlives the reader


def test_a_frame_for_which_no_slot_is_free_is_left_out_or_waits() -> None:
    reader, writer = pair()
    taken = {writer.write(picture(i), None) for i in range(SLOTS)}
    assert taken == set(range(SLOTS)) and writer.write(picture(9), None) is None
    asked = iter([True, False])
    assert writer.write(picture(9), lambda: next(asked)) is None
    threading.Timer(0.05, writer.free, (2,)).start()
    assert writer.write(picture(9), lambda: True) == 2
    assert (reader.view(2, writer.slot_bytes, 4, 6) == 9).all()
    reader.close()


def test_frames_wait_only_where_memory_is_left_for_them() -> None:
    for room, most in ((1, 2), (3, 3), (99, SLOTS)):
        reader = SlotReader()
        writer = SlotWriter(reader.name, room * picture(0).nbytes)
        assert [writer.write(picture(i), None) for i in range(most)] == list(range(most))
        assert writer.write(picture(9), None) is None
        reader.close()


def test_a_smaller_picture_fits_and_a_larger_one_waits_until_nobody_looks() -> None:
    reader, writer = pair()
    first = writer.write(picture(1), None)
    assert first is not None
    view = reader.view(first, writer.slot_bytes, 4, 6)
    small = writer.write(picture(2, 2, 2), None)
    assert small is not None and (reader.view(small, writer.slot_bytes, 2, 2) == 2).all()
    writer.free(small)
    asked = iter([True, False])
    assert writer.write(picture(3, 8, 8), lambda: next(asked)) is None and (view == 1).all()
    threading.Timer(0.05, writer.free, (first,)).start()
    large = writer.write(picture(3, 8, 8), None)
    assert large is not None and (reader.view(large, writer.slot_bytes, 8, 8) == 3).all()
    reader.close()
