"""Tracks: one event a vehicle, fused per character."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.reads import CHARSET, LABELS, read
from numpy.typing import NDArray

from edge_lpr.errors import SettingError
from edge_lpr.pipeline.events import PlateEvent, State
from edge_lpr.pipeline.settings import TrackSettings
from edge_lpr.pipeline.tracker import PlateTracker
from edge_lpr.pipeline.wall_clock import utc
from edge_lpr.plates import PlateRead


def run(
    frames: list[list[PlateRead]], fps: float = 10, min_score: float = 0.0, **settings: float
) -> list[PlateEvent]:
    tracker = PlateTracker(CHARSET, True, TrackSettings(**settings), min_score=min_score)  # type: ignore[arg-type]
    events = []
    for n, reads in enumerate(frames):
        events += tracker.update(reads, n, n / fps)
    return events + tracker.flush()


def test_one_event_a_track_with_its_span() -> None:
    frames: list[list[PlateRead]] = [[], []]
    frames += [[read("皖A12345", x=100 + 12 * n)] for n in range(10)]
    (event,) = run(frames)
    assert (event.text, event.kind, event.reads, event.track) == ("皖A12345", "blue", 10, 1)
    assert (event.first_frame, event.last_frame) == (2, 11)
    assert (event.first_seen, event.last_seen) == (pytest.approx(0.2), pytest.approx(1.1))
    assert event.min_score <= event.score + 1e-9 <= 1 + 1e-9


def test_fuses_characters_and_not_strings() -> None:
    # Every string is wrong somewhere, and each position is right in most: no vote over strings finds it.
    frames = [[read("皖A1234S")], [read("皖A1Z345")], [read("皖A72345")], [read("皖A12345", score=0.5)]]
    (event,) = run(frames)
    assert event.text == "皖A12345"


def test_sure_reads_outweigh_many_unsure_ones() -> None:
    unsure = read("皖A1234B", score=0.35, height=10)
    sure = read("皖A12348", score=0.99)
    (event,) = run([[unsure], [unsure], [unsure], [sure], [sure]])
    assert event.text == "皖A12348"


def test_a_read_that_lost_a_character_is_aligned() -> None:
    lost = read("皖A1245")
    (event,) = run([[read("皖A1234S", doubts={6: ("5", 0.4)})], [lost], [read("皖A12345")]])
    assert event.text == "皖A12345"
    assert event.reads == 3


def test_the_fused_text_follows_a_format() -> None:
    # The B leads at the last position, where green plates of this form have a digit.
    (event,) = run([[read("皖AD11166", kind="green", doubts={7: ("B", 0.55)})]] * 3)
    assert (event.text, event.kind) == ("皖AD11166", "green")


def test_characters_of_one_glyph_are_as_sure_as_the_glyph() -> None:
    (event,) = run([[read("粤OA2160", doubts={1: ("0", 0.4), 6: ("O", 0.5)})]] * 5)
    assert event.text == "粤OA2160"
    assert event.min_score > 0.9


def test_two_cars_side_by_side_are_two_events() -> None:
    frames = [[read("皖A12345", x=50 + 5 * n), read("苏B99999", x=400 - 5 * n)] for n in range(8)]
    assert sorted(event.text for event in run(frames)) == ["皖A12345", "苏B99999"]


def test_the_next_car_at_the_same_place_is_another_track() -> None:
    frames = [[read("皖A12345")]] * 5 + [[read("苏B98761")]] * 5
    assert [event.text for event in run(frames)] == ["皖A12345", "苏B98761"]


def test_a_gap_within_the_limit_is_one_track_beyond_it_two() -> None:
    frames = [[read("皖A12345")]] * 3 + [[]] * 10 + [[read("皖A12345")]] * 3
    assert len(run(frames, max_gap=1.5)) == 1
    assert len(run(frames, max_gap=0.5)) == 2


def test_a_fast_car_whose_boxes_do_not_overlap_is_one_track() -> None:
    frames = [[read("皖A12345", x=200 * n)] for n in range(5)]
    (event,) = run(frames, fps=5)
    assert event.reads == 5


def test_a_single_unsure_read_is_no_event_and_a_sure_one_is() -> None:
    assert run([[read("皖A12345", score=0.5)]]) == []
    assert len(run([[read("皖A12345", score=0.95)]])) == 1


def test_events_come_when_the_track_ends() -> None:
    tracker = PlateTracker(CHARSET, True, TrackSettings(max_gap=1.0))
    assert tracker.update([read("皖A12345")], 0, 0.0) == []
    for n in range(1, 11):
        assert tracker.update([], n, n / 10) == []
    assert [event.text for event in tracker.update([], 11, 1.1)] == ["皖A12345"]
    assert tracker.flush() == []


ALL: frozenset[State] = frozenset({"new", "update", "end"})


def tracker_of(states: frozenset[State] = ALL, min_score: float = 0.0, **settings: Any) -> PlateTracker:
    tracker = PlateTracker(CHARSET, True, TrackSettings(**settings), lambda number: f"id-{number}", min_score)
    tracker.states = states
    return tracker


def told(events: list[PlateEvent]) -> list[tuple[str, str]]:
    return [(event.state, event.text) for event in events]


def test_a_sure_text_is_new_at_once_and_one_event_is_the_end() -> None:
    tracker = tracker_of(max_gap=1.0)
    (new,) = tracker.update([read("皖A12345")], 0, 0.0)
    assert (new.state, new.id, new.reads, new.track) == ("new", "id-1", 1, 1)
    assert tracker.update([read("皖A12345")], 1, 0.1) == []
    assert tracker.advance(1.0) == []
    (end,) = tracker.advance(1.2)
    assert (end.state, end.id, end.reads, end.text) == ("end", "id-1", 2, "皖A12345")
    assert tracker.flush() == []


def test_an_unsure_text_is_new_a_second_after_it_could_be_by_the_clock_alone() -> None:
    tracker = tracker_of(max_gap=5.0)
    unsure = read("皖A12345", doubts={6: ("S", 0.4)})
    assert tracker.update([unsure], 0, 0.0) == []  # one such read is no plate yet
    assert tracker.update([unsure], 1, 0.1) == []
    assert tracker.advance(1.0) == []
    assert told(tracker.advance(1.15)) == [("new", "皖A12345")]
    assert tracker.advance(2.0) == []


def test_a_sure_text_of_a_plate_far_away_waits_until_it_is_near_or_a_second_is_over() -> None:
    def far_and(then: float, **settings: float) -> list[tuple[float, str]]:
        tracker, found = tracker_of(**settings), []
        for n in range(13):
            size = 78.0 if n / 10 < then else 90.0
            events = tracker.update([read("皖A12345", width=size, height=size / 3)], n, n / 10)
            found += [(n / 10, event.state) for event in events]
        return found

    assert far_and(0.0) == [(0.0, "new")]
    assert far_and(0.3) == [(0.3, "new")]
    assert far_and(9.9) == [(1.0, "new")]
    assert far_and(9.9, max_delay=0.4) == [(0.4, "new")]
    assert far_and(9.9, early_width=60) == [(0.0, "new")]


def test_another_text_is_an_update_at_most_once_a_second() -> None:
    tracker = tracker_of()
    assert told(tracker.update([read("皖A1234S", score=0.85)], 0, 0.0)) == [("new", "皖A1234S")]
    sure = read("皖A12345", score=0.99)
    assert [told(tracker.update([sure], n, n / 10)) for n in range(1, 10)] == [[]] * 9
    assert told(tracker.update([sure], 10, 1.0)) == [("update", "皖A12345")]
    assert told(tracker.update([sure], 11, 1.1) + tracker.advance(2.2)) == []
    assert told(tracker.flush()) == [("end", "皖A12345")]


def test_who_was_not_told_of_is_new_before_it_ends() -> None:
    tracker = tracker_of()
    for n in range(2):
        assert tracker.update([read("皖A12345", doubts={6: ("S", 0.4)})], n, n / 10) == []
    assert told(tracker.flush()) == [("new", "皖A12345"), ("end", "皖A12345")]


def test_only_the_states_that_are_wanted_are_given() -> None:
    for wanted in ("new", "update", "end"):
        tracker = tracker_of(frozenset({wanted}))
        events = tracker.update([read("皖A1234S", score=0.85)], 0, 0.0)
        for n in range(1, 15):
            events += tracker.update([read("皖A12345", score=0.99)], n, n / 10)
        assert [event.state for event in events + tracker.flush()] == [wanted]


def test_who_is_not_reported_is_not_told_of() -> None:
    tracker = tracker_of()
    assert tracker.update([read("皖A12345", score=0.55)], 0, 0.0) == []
    assert tracker.advance(1.2) + tracker.advance(9.0) + tracker.flush() == []


def test_a_parked_car_is_fused_once_for_all_who_ask() -> None:
    tracker = tracker_of()
    tracker.update([read("皖A12345")], 0, 0.0)
    (track,) = tracker._open
    known = track.known
    assert known is not None
    tracker.advance(0.5)
    assert track.known is known


def test_times_of_day_are_what_the_clock_says_last() -> None:
    # A clock that was set an hour forward between the second read and the third.
    tracker = tracker_of(frozenset({"end"}))
    for n, wall in enumerate((1000.0, 1001.0, 4602.0)):
        tracker.update([read("皖A12345")], n, float(n), None, wall)
    (event,) = tracker.flush()
    assert event.first_utc == utc(4600.0) and event.last_utc == utc(4602.0)
    assert event.clock_step == pytest.approx(3600.0)


def test_a_file_has_no_time_of_day() -> None:
    (event,) = run([[read("皖A12345")]])
    assert (event.first_utc, event.last_utc, event.clock_step) == (None, None, None)


def test_memory_does_not_grow_with_a_parked_car() -> None:
    tracker = PlateTracker(CHARSET, True)
    for n in range(2000):
        tracker.update([read("皖A12345")], n, n / 10)
    (track,) = tracker._open
    assert {n: s.mean().shape for n, s in track.sums.by_length.items()} == {7: (7, len(LABELS))}
    (event,) = tracker.flush()
    assert (event.reads, event.text) == (2000, "皖A12345")
    assert np.isfinite(event.char_scores).all()
    assert 0 <= event.min_score <= event.score + 1e-9 <= 1 + 1e-9


def test_the_crop_is_the_best_reads() -> None:
    tracker = PlateTracker(CHARSET, True)
    frame: NDArray[np.uint8] = np.zeros((300, 400, 3), np.uint8)
    tracker.update([read("皖A12345", score=0.6)], 0, 0.0, frame)
    bright = frame + 200
    tracker.update([read("皖A12345", score=0.99)], 1, 0.1, bright)
    tracker.update([read("皖A12345", score=0.7)], 2, 0.2, frame)
    (event,) = tracker.flush()
    assert event.crop is not None
    assert event.crop.shape == (32, 120, 3)
    assert event.crop.min() == 200


@pytest.mark.parametrize(
    "wrong", [{"min_iou": 2}, {"max_gap": 0}, {"max_gap": float("nan")}, {"min_reads": 0}]
)
def test_a_wrong_setting_is_named(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        TrackSettings(**wrong)  # type: ignore[arg-type]


def test_reads_that_deny_each_other_are_no_event() -> None:
    # Two provinces, three of them, an end that is read in two ways: nothing is known there.
    for texts in (("京A12345", "津A12345"), ("京A12345", "津A12345", "冀A12345"), ("京A12345", "京A12348")):
        assert run([[read(text)] for text in texts * 4], min_score=0.75) == []
        (event,) = run([[read(text)] for text in texts * 4], min_score=0.1)
        assert event.min_score == pytest.approx(1 / len(texts), abs=0.1)


def test_the_better_supported_of_two_provinces_is_told() -> None:
    frames = [[read("京A12345")], [read("津A12345")], [read("京A12345")], [read("京A12345")]]
    (event,) = run(frames, min_score=0.75)
    assert (event.text, event.reads) == ("京A12345", 4) and event.min_score > 0.9


def test_what_was_told_and_is_denied_later_ends_as_it_was_told() -> None:
    def events(states: frozenset[State]) -> list[PlateEvent]:
        tracker = tracker_of(states, min_score=0.75)
        found = []
        for n in range(30):
            found += tracker.update([read("京A12345" if n % 2 == 0 else "津A12345")], n, n / 10)
        return found + tracker.flush()

    new, end = events(ALL)
    assert [(e.state, e.text) for e in (new, end)] == [("new", "京A12345"), ("end", "京A12345")]
    assert end.char_scores == new.char_scores and new.min_score > 0.9
    assert (new.reads, end.reads) == (1, 30) and new.id == end.id
    assert [e.state for e in events(frozenset({"new"}))] == ["new"]
    # Who asks for the end alone was told nothing that has to end.
    assert events(frozenset({"end"})) == []


def test_no_event_of_any_state_is_less_sure_than_asked() -> None:
    rng = np.random.default_rng(3)
    texts = ["京A12345", "津A12345", "京A12348", "京AD1234", "京B12345"]
    for _ in range(40):
        tracker = tracker_of(min_score=0.75)
        events = []
        for n in range(12):
            text = texts[int(rng.integers(len(texts)))]
            score = float(rng.uniform(0.76, 1.0))
            events += tracker.update([read(text, score=score, height=float(rng.uniform(8, 32)))], n, n / 4)
        events += tracker.flush()
        assert all(event.min_score >= 0.75 for event in events)
        for track in {event.track for event in events}:
            states = [event.state for event in events if event.track == track]
            assert states[0] == "new" and states[-1] == "end" and set(states[1:-1]) <= {"update"}


def test_each_read_is_known_as_its_vehicle_is() -> None:
    tracker = tracker_of(min_score=0.75)
    tracker.update([read("京A12345", score=0.78)], 0, 0.0)
    assert [known.text for known in tracker.known] == [""]  # one unsure read is told to nobody
    tracker.update([read("京A12345"), read("苏B98761", x=600, kind="yellow")], 1, 0.1)
    assert [known.text for known in tracker.known] == ["京A12345", "苏B98761"]
    wrong = read("津A12345", x=104, score=0.8)
    tracker.update([wrong], 2, 0.2)
    (known,) = tracker.known
    assert (known.text, known.kind) == ("京A12345", "blue") and (known.corners == wrong.corners).all()
    tracker.update([], 3, 0.3)
    assert tracker.known == []


@pytest.mark.parametrize("fps", [25 / 10, 1.0, 0.5, 0.02])
def test_however_seldom_frames_are_read_one_vehicle_is_one(fps: float) -> None:
    # Four frames in a row miss its plate, and then another vehicle stands there.
    frames = [[read("皖A12345")]] * 2 + [[]] * 4 + [[read("皖A12345")]] + [[]] * 5 + [[read("皖A12345")]]
    first, second = run([*frames, [read("苏B98761")]] + [[]] * 9, fps=fps, max_gap=0.5)[:2]
    assert (first.text, first.reads, first.last_frame) == ("皖A12345", 3, 6)
    assert (second.text, second.reads) == ("皖A12345", 1)


def test_the_next_car_of_the_same_town_is_another_one_where_frames_are_far_apart() -> None:
    # Three characters of seven are others, which within half a second is one plate misread.
    texts = ["皖A12345"] * 3 + ["皖A16395"] * 3
    for fps in (1.0, 0.2):
        events = run([[read(text)] for text in texts], fps=fps, min_score=0.75)
        assert [(event.text, event.reads) for event in events] == [("皖A12345", 3), ("皖A16395", 3)]
    assert len(run([[read(text)] for text in texts], fps=25)) == 1


def test_a_pause_is_no_rate() -> None:
    tracker = tracker_of(frozenset({"end"}), max_gap=1.0)
    for n in range(20):
        assert tracker.update([read("皖A12345")], n, n / 10 + (3.0 if n >= 10 else 0.0)) == [] or n == 10
    assert tracker.advance(4.9 + 0.95) == [] and len(tracker.advance(4.9 + 1.05)) == 1


def test_a_vehicle_that_moves_far_between_frames_that_are_read_is_one() -> None:
    # Ten frames apart, six of its plate's widths; and read a little otherwise each time.
    texts = ["皖A12345", "皖A12346", "皖A12845"]
    (event,) = run([[read(text, x=700 * n)] for n, text in enumerate(texts)], fps=2.5)
    assert event.reads == 3
    (same,) = run([[read("皖A12345")], [read("皖A12345", x=1500)]], fps=25)
    assert same.reads == 2
    # In two frames that follow each other, no vehicle moves so far: what reads otherwise is another one.
    assert len(run([[read("皖A12345")], [read("皖A12346", x=1500)]], fps=25)) == 2


def test_a_plate_that_is_held_or_followed_is_in_view_and_is_no_read() -> None:
    tracker = PlateTracker(CHARSET, True, TrackSettings(max_gap=0.5))
    tracker.update([read("皖A12345", x=100)], 0, 0.0)
    tracker.update([read("皖A12345", x=110)], 1, 0.1)
    (place,) = tracker.places(0.2)
    assert (place.number, place.seen, place.read, place.reads, place.is_sure) == (1, 0.1, 0.1, 2, True)
    assert place.expected[:, 0].min() == pytest.approx(place.corners[:, 0].min() + 10, abs=0.1)
    for n in range(2, 12):
        tracker.keep((), {1: place.corners + 10 * (n - 1)}, n, n / 10)
        assert not tracker.update([], n, n / 10)
    (place,) = tracker.places(1.2)
    assert (place.seen, place.read, place.reads) == (pytest.approx(1.1), 0.1, 2)
    assert place.expected[:, 0].min() == pytest.approx(220, abs=0.5)
    (shown,) = tracker.in_view(1.2, 0.2)
    assert shown.text == "皖A12345" and shown.corners[:, 0].min() == pytest.approx(220, abs=0.5)
    assert tracker.in_view(1.4, 0.2) == []
    tracker.update([read("皖A12345", x=220)], 12, 1.2)
    for n in range(13, 30):
        tracker.keep({1}, {}, n, n / 10)
        tracker.update([], n, n / 10)
    (event,) = tracker.update([], 40, 4.0)
    assert (event.reads, event.last_frame, event.last_seen) == (3, 29, pytest.approx(2.9))


def test_a_passage_ends_where_its_plate_was_last_read_however_long_it_was_seen() -> None:
    tracker = PlateTracker(CHARSET, True, TrackSettings(max_gap=0.5))
    for n in range(3):
        tracker.update([read("皖A12345", x=100 + 10 * n)], n, n / 10)
    (place,) = tracker.places(0.2)
    tracker.keep((), {1: place.corners}, 3, 0.3)
    tracker.keep({1}, {}, 4, 0.4)  # it stands as it was not read
    (place,) = tracker.places(0.4)
    assert (place.seen, place.shown) == (pytest.approx(0.4), pytest.approx(0.2))
    (event,) = tracker.advance(2.0)
    assert (event.last_frame, event.last_seen) == (2, pytest.approx(0.2))


def test_reads_of_frames_that_have_gone_by_begin_and_end_a_passage() -> None:
    tracker = PlateTracker(CHARSET, True, TrackSettings(max_gap=0.5))
    tracker.update([read("皖A12345", x=140)], 4, 0.4)
    assert tracker.recall(1, [read("京N99999", x=600), read("皖A12345", x=130)], 3, 0.3)
    (place,) = tracker.places(0.2)
    assert place.expected[:, 0].min() == pytest.approx(120, abs=0.1)
    assert tracker.recall(1, [read("皖A12345", x=120)], 2, 0.2)
    assert not tracker.recall(1, [read("京N99999", x=110)], 1, 0.1)
    assert tracker.recall(1, [], 1, 0.1) is tracker.recall(7, [read("皖A12345")], 1, 0.1) is None
    tracker.keep((), {1: read("皖A12345", x=170).corners}, 7, 0.7)
    assert tracker.recall(1, [read("皖A12345", x=160)], 6, 0.6)
    assert tracker.recall(1, [read("皖A12345", x=180)], 8, 0.8)
    (place,) = tracker.places(0.9)
    assert (place.reads, place.seen, place.shown) == (5, 0.8, 0.8)
    assert place.expected[:, 0].min() == pytest.approx(190, abs=0.1)
    # What fades is read wrongly, by chance.
    assert not tracker.recall(1, [read("皖A12346", x=190)], 9, 0.9)
    (event,) = tracker.advance(2.0)
    assert (event.first_frame, event.first_seen, event.last_frame, event.last_seen) == (2, 0.2, 8, 0.8)
    assert event.reads == 5


def test_a_track_outlasts_five_looks_however_rare_they_are() -> None:
    tracker = PlateTracker(CHARSET, True, TrackSettings(max_gap=0.5))
    tracker.look_interval = 0.4
    for n in range(3):
        tracker.update([read("皖A12345")], n, n / 25)
    assert not tracker.advance(2.0)
    assert tracker.advance(2.4)
