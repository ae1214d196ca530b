"""Frames that have gone by, and what is found in them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from helpers.reads import CHARSET, read

from edge_lpr.io.frames import Frame
from edge_lpr.pipeline.look_back import LookBack, RecentFrames
from edge_lpr.pipeline.looks import Look, Seen
from edge_lpr.pipeline.settings import TrackSettings
from edge_lpr.pipeline.tracker import PlateTracker
from edge_lpr.pipeline.windows import Window
from edge_lpr.plates import PlateRead
from edge_lpr.types import Image

FPS = 25
TEXT = "皖A12345"
NOTHING = Look(())


def a_frame(n: int, size: tuple[int, int] = (540, 960)) -> Frame:
    """The frame n, whose first pixel says which it is."""
    image = np.zeros((*size, 3), np.uint8)
    image[0, 0, 0] = n
    return Frame(image, n, n / FPS, "street.mp4")


def at(n: int) -> float:
    """Where the plate is in frame n."""
    return 100.0 + 10 * n


class Street:
    """A reader that sees a plate that moves, in some frames, and counts its looks."""

    def __init__(self, shows: Mapping[int, str]) -> None:
        self.shows = shows
        self.looked: list[int] = []
        self.areas: list[int] = []

    def read_look(self, image: Image, look: Look) -> Seen:
        (window,) = look.windows or ()
        n = int(image[0, 0, 0])
        self.looked.append(n)
        self.areas.append(window.area)
        if n not in self.shows:
            return Seen(look)
        plate = read(self.shows[n], x=at(n))
        assert look.plates and not look.rescan
        return Seen(look, [plate] if window.holds(Window.around(plate.corners)) else [])


class Scene:
    """A stream that looks at some frames, and looks back."""

    def __init__(self, shows: Mapping[int, str], frames: RecentFrames | None = None) -> None:
        self.reader = Street(shows)
        self.tracker = PlateTracker(CHARSET, True, TrackSettings())
        self.back = LookBack(self.reader, self.tracker, frames)
        self.windows: list[int] = []

    def pass_by(self, last: int, looked: Mapping[int, Look], wanted: bool = True) -> None:
        """Frames 0 to `last`, of which some are looked at."""
        for n in range(last + 1):
            frame, look = a_frame(n), looked.get(n, NOTHING)
            reads: list[PlateRead] = []
            if look.windows != () and n in self.reader.shows and not look.followed:
                reads = [read(self.reader.shows[n], x=at(n))]
            if look.followed:
                self.tracker.keep((), look.followed, n, n / FPS)
            self.tracker.update(reads, n, n / FPS, frame.image)
            self.windows.append(self.back.update(frame, look, wanted=wanted).windows)

    def span(self) -> tuple[int, int]:
        """The first and the last frame of the one vehicle."""
        (event,) = self.tracker.flush()
        assert event.text == TEXT
        return event.first_frame, event.last_frame


WHOLE = Look()


def test_a_passage_begins_in_the_first_frame_that_shows_its_plate() -> None:
    scene = Scene(dict.fromkeys(range(12, 30), TEXT))
    scene.pass_by(20, dict.fromkeys((0, 16, 17, 18, 19, 20), WHOLE))
    # From the newest one back, and 0.6 s beyond the last that shows it; what was looked at is not again.
    assert scene.reader.looked == [*range(15, 0, -1)]
    assert scene.windows[16] == 15 and sum(scene.windows) == 15
    assert scene.span() == (12, 20)


def test_a_beginning_is_looked_for_across_frames_that_do_not_show_it() -> None:
    scene = Scene({5: TEXT, 12: "皖A12346", 16: TEXT, 17: TEXT})
    scene.pass_by(17, {0: WHOLE, 16: WHOLE, 17: WHOLE})
    assert scene.span() == (5, 17)


def test_a_passage_ends_in_the_last_frame_that_shows_its_plate() -> None:
    scene = Scene(dict.fromkeys(range(9), TEXT))
    looked = dict.fromkeys((0, 1, 2, 3, 4, 10), WHOLE)
    scene.pass_by(10, looked)
    # Newest first: what is older than a frame that shows it says nothing more; and on from there, where it
    # is known better now how it moves.
    assert scene.reader.looked == [9, 8, 9] and scene.windows[10] == 3
    assert scene.span() == (0, 8)


def test_a_plate_that_was_followed_is_read_there_when_it_is_lost() -> None:
    scene = Scene(dict.fromkeys(range(8), TEXT))
    followed = Look((Window(0, 0, 960, 540),), False, {1: read(TEXT, x=at(6)).corners})
    scene.pass_by(9, {0: WHOLE, 1: WHOLE, 2: WHOLE, 3: WHOLE, 6: followed, 9: WHOLE})
    assert scene.reader.looked == [8, 7, 8] and scene.span() == (0, 7)
    scene = Scene(dict.fromkeys(range(7), TEXT))
    scene.pass_by(9, {0: WHOLE, 1: WHOLE, 2: WHOLE, 3: WHOLE, 6: followed, 9: WHOLE})
    assert scene.reader.looked == [8, 7, 6, 7] and scene.span() == (0, 6)


def test_the_end_of_the_source_is_an_end_too() -> None:
    scene = Scene(dict.fromkeys(range(9), TEXT))
    scene.pass_by(8, dict.fromkeys((0, 1, 2, 3), WHOLE))
    assert scene.reader.looked == []
    done = scene.back.finish()
    assert [(found.frame.index, found.read.text, found.track) for found in done.found] == [(8, TEXT, 1)]
    assert scene.reader.looked == [8] and scene.span() == (0, 8)


def test_what_faded_is_looked_for_in_half_a_second_and_in_each_frame_once() -> None:
    scene = Scene(dict.fromkeys(range(4), TEXT))
    scene.pass_by(40, dict.fromkeys((0, 1, 2, 3, 8, 12, 20, 30, 40), WHOLE))
    assert sorted(scene.reader.looked) == [n for n in range(4, 16) if n not in (8, 12)]
    assert scene.span() == (0, 3)


def test_windows_of_frames_gone_by_are_small() -> None:
    scene = Scene(dict.fromkeys(range(12, 30), TEXT))
    scene.pass_by(17, {0: WHOLE, 16: WHOLE, 17: WHOLE})
    # Of a plate that was read once nobody knows how it moves.
    first, *others = scene.reader.areas
    assert first < 0.26 * 540 * 960 and max(others) < 0.05 * 540 * 960


def test_where_there_is_no_time_nothing_is_looked_back_at() -> None:
    scene = Scene(dict.fromkeys(range(12, 30), TEXT))
    scene.pass_by(20, dict.fromkeys((0, 16, 20), WHOLE), wanted=False)
    assert scene.reader.looked == [] and scene.span() == (16, 20)


def test_frames_are_kept_for_a_time_and_no_more_than_so_many_bytes() -> None:
    frames = RecentFrames(seconds=0.4)
    for n in range(50):
        frames.add(a_frame(n), NOTHING)
    assert [kept.frame.index for kept in frames.after(0.0)] == [*range(39, 50)]
    assert [kept.frame.index for kept in frames.before(41 / FPS)] == [40, 39]
    one = a_frame(0).image.nbytes
    frames = RecentFrames(most_bytes=3 * one + 1)
    for n in range(9):
        frames.add(a_frame(n), NOTHING)
        assert frames.bytes == min(n + 1, 3) * one
    assert [kept.frame.index for kept in frames.after(0.0)] == [6, 7, 8]
    frames.clear()
    assert frames.bytes == 0 and not frames.after(-1.0)


@pytest.mark.parametrize(("size", "most"), [((1080, 1920), 10), ((2160, 3840), 2), ((6000, 8000), 0)])
def test_large_frames_are_few(size: tuple[int, int], most: int) -> None:
    frames = RecentFrames()
    image = np.broadcast_to(np.uint8(0), (*size, 3))  # takes no memory, and says that it does
    for n in range(20):
        frames.add(Frame(image, n, n / FPS, "camera"), NOTHING)
    assert len(frames.after(-1.0)) == most and frames.bytes <= 64_000_000
