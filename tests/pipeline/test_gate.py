"""Which parts of a frame are looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_lpr.pipeline.gate import Gate
from edge_lpr.pipeline.looks import Look, Place
from edge_lpr.pipeline.settings import GateSettings
from edge_lpr.pipeline.windows import Window

HEIGHT, WIDTH, FPS = 540, 960, 25
STREET = np.repeat(np.repeat(np.random.default_rng(0).integers(60, 180, (27, 48, 3), np.uint8), 20, 0), 20, 1)
CAR = Window(400, 200, 560, 320)


def street(*cars: Window) -> NDArray[np.uint8]:
    """The street with vehicles, whose pattern moves with them."""
    image = STREET.copy()
    for number, car in enumerate(cars):
        shown = car.clipped((HEIGHT, WIDTH))
        pattern = np.random.default_rng(number + 1).integers(0, 255, (40, 40, 3), np.uint8)
        pattern = np.repeat(np.repeat(pattern, 8, 0), 8, 1)
        image[shown.slices] = pattern[: shown.height, shown.left - car.left : shown.right - car.left]
    return image


def a_gate(**settings: float) -> Gate:
    changed: dict[str, Any] = {"look_interval": 0.15, **settings}
    return Gate(GateSettings(**changed), lambda height, width: (544, 960))


def place(at: Window, seen: float, **changes: Any) -> Place:
    values: dict[str, Any] = {
        "number": 1,
        "corners": at.corners,
        "expected": at.corners,
        "seen": seen,
        "read": seen,
        "shown": seen,
        "reads": 9,
        "near_reads": 9,
        "is_sure": True,
    }
    return Place(**{**values, **changes})


def holds(look: Look, window: Window) -> bool:
    return any(looked.holds(window) for looked in look.windows or ())


def test_a_whole_frame_is_looked_at_once_a_second_and_in_a_still_scene_once_in_ten() -> None:
    gate = a_gate()
    looks = [gate.plan(street(), n / 5) for n in range(5 * 25)]
    assert [n / 5 for n, look in enumerate(looks) if look.windows is None] == [0, 10, 20]
    assert all(look.share == 0 for look in looks if look.windows is not None)
    gate = a_gate(full_look=2.0)
    looks = [gate.plan(street(Window(0, 0, 20 + n, 20)), n / 5) for n in range(25)]
    assert [n / 5 for n, look in enumerate(looks) if look.windows is None] == [0, 2, 4]


def test_what_comes_is_looked_at_at_once_and_then_from_time_to_time() -> None:
    gate = a_gate()
    gate.plan(street(), 0.0)
    looks = [gate.plan(street(), n / FPS) for n in range(1, 6)]
    looks += [gate.plan(street(Window(400 + 5 * n, 200, 560 + 5 * n, 320)), n / FPS) for n in range(6, 20)]
    assert [n for n, look in enumerate(looks, 1) if look.windows] == [6, 10, 14, 18]
    assert holds(looks[5], Window(430, 200, 590, 320)) and looks[5].share < 0.2


def test_what_moves_fast_is_looked_at_in_each_frame() -> None:
    gate = a_gate()
    for n in range(12):
        gate.plan(street(), n / FPS)
    at = [Window(170 * n, 200, 170 * n + 160, 320) for n in range(1, 5)]
    assert all(holds(gate.plan(street(car), n / FPS), car) for n, car in enumerate(at, 12))


def test_what_is_too_small_to_have_a_plate_is_left_for_the_whole_look() -> None:
    gate = a_gate()
    gate.plan(street(), 0.0)
    assert not gate.plan(street(Window(400, 200, 430, 212)), 1 / FPS).windows
    assert gate.plan(street(Window(400, 200, 430, 212)), 1.0).windows is None


def test_a_plate_is_looked_at_in_each_frame_until_it_is_known() -> None:
    gate = a_gate()
    gate.plan(street(), 0.0)
    plates = [Window(440 + 3 * n, 280, 520 + 3 * n, 305) for n in range(9)]
    for n, plate in enumerate(plates[1:5], 1):
        unsure = place(plate, (n - 1) / FPS, reads=n, is_sure=False)
        look = gate.plan(street(Window(plate.left - 40, 200, plate.right + 40, 320)), n / FPS, [unsure])
        assert holds(look, plate) and not look.followed
    looks = []
    seen = read = 4 / FPS
    for n in range(5, 25):
        plate = Window(440 + 3 * n, 280, 520 + 3 * n, 305)
        known = place(plate, seen, read=read, shown=read)
        look = gate.plan(street(Window(plate.left - 40, 200, plate.right + 40, 320)), n / FPS, [known])
        looks.append((n, bool(look.windows), bool(look.followed)))
        seen = n / FPS if look.windows else seen
        read = n / FPS if look.windows and not look.followed else read
    # It is seen in each eighth frame, and read in each second of those; its car's motion is no news.
    assert [n for n, looked, _ in looks if looked] == [12, 20]
    assert [n for n, _, followed in looks if followed] == [12]


def test_a_plate_that_is_sure_from_afar_is_read_at_each_look_and_in_each_frame_once_it_is_near() -> None:
    def looks(near_reads: int) -> list[tuple[int, bool]]:
        gate = a_gate()
        gate.plan(street(), 0.0)
        found, seen = [], 0.0
        for n in range(1, 20):
            plate = Window(440 + 3 * n, 280, 510 + 3 * n, 302)
            car = street(Window(plate.left - 40, 200, plate.right + 40, 320))
            look = gate.plan(car, n / FPS, [place(plate, seen, near_reads=near_reads)])
            if look.windows:
                found.append((n, bool(look.followed)))
                seen = n / FPS
        return found

    assert looks(near_reads=0) == [(8, False), (16, False)]
    assert looks(near_reads=1) == [(n, False) for n in range(1, 20)]
    assert looks(near_reads=4) == [(8, True), (16, True)]


def test_a_known_plate_that_goes_fast_is_looked_at_twice_as_often() -> None:
    def looks(speed: int) -> list[int]:
        gate = a_gate()
        gate.plan(street(), 0.0)
        found, seen = [], 0
        for n in range(1, 12):
            was, now = (Window(100 + speed * m, 280, 180 + speed * m, 305) for m in (seen, n))
            known = place(was, seen / FPS, expected=now.corners)
            if gate.plan(street(Window(now.left - 40, 200, now.right + 40, 320)), n / FPS, [known]).windows:
                found.append(n)
                seen = n
        return found

    assert looks(3) == [8] and looks(12) == [4, 8]


def test_a_plate_that_stops_is_read_before_it_is_held() -> None:
    gate = a_gate()
    plate = Window(440, 280, 520, 305)
    gate.plan(street(CAR), 0.0)
    # It was followed there, and not read.
    looks = [gate.plan(street(CAR), n / FPS, [place(plate, 0.0, shown=-0.2, read=-0.2)]) for n in range(1, 5)]
    assert not any(look.held for look in looks)
    assert [(bool(look.windows), dict(look.followed)) for look in looks] == [(False, {})] * 3 + [(True, {})]
    assert gate.plan(street(CAR), 5 / FPS, [place(plate, 4 / FPS)]).held == {1}


def test_a_look_says_where_plates_were_read_before() -> None:
    gate = a_gate()
    plate = place(Window(440, 280, 520, 305), 0.0)
    for n in range(2):
        (quad,) = gate.plan(street(CAR), float(n), [plate]).plates
        assert np.array_equal(quad, plate.expected)


def test_a_plate_that_stands_is_held_until_something_changes_there() -> None:
    gate = a_gate()
    plate = Window(440, 280, 520, 305)
    gate.plan(street(CAR), 0.0)
    for n in range(1, 20):
        look = gate.plan(street(CAR), n / FPS, [place(plate, (n - 1) / FPS)])
        assert look.held == {1} and look.windows == ()
    look = gate.plan(street(CAR, Window(430, 250, 500, 340)), 20 / FPS, [place(plate, 19 / FPS)])
    assert not look.held
    # Not sure yet, it is read some times more.
    gate = a_gate()
    gate.plan(street(CAR), 0.0)
    looks = [
        gate.plan(street(CAR), n / FPS, [place(plate, 0.0, reads=3, is_sure=False)]) for n in range(1, 6)
    ]
    assert [bool(look.windows) for look in looks] == [False, False, False, True, False]


def test_a_plate_that_stood_is_looked_at_as_soon_as_it_moves() -> None:
    gate = a_gate()
    plate = Window(440, 280, 520, 305)
    gate.plan(street(CAR), 0.0)
    for n in range(1, 10):
        assert gate.plan(street(CAR), n / FPS, [place(plate, (n - 1) / FPS)]).held
    moved = Window(470, 300, 550, 325)
    look = gate.plan(street(Window(430, 220, 590, 340)), 10 / FPS, [place(plate, 9 / FPS)])
    assert holds(look, moved) and not look.held
    look = gate.plan(street(Window(460, 240, 620, 360)), 11 / FPS, [place(moved, 10 / FPS)])
    assert holds(look, moved)


def test_a_plate_that_is_known_and_gone_is_looked_for_less_and_less() -> None:
    gate = a_gate(full_look=60.0)
    gate.plan(street(CAR), 0.0)
    tries = []
    for n in range(1, 60):
        look = gate.plan(street(), n / FPS, [place(Window(440, 280, 520, 305), 0.0)])
        if look.windows and not look.held and holds(look, Window(440, 280, 520, 305)):
            tries.append(n)
    assert len(tries) <= 10
    outside = place(Window(440, 280, 520, 305), 0.0, expected=Window(-90, 280, -10, 305).corners)
    assert not gate.plan(street(), 60 / FPS, [outside]).windows


def test_a_second_car_is_looked_at_beside_one_that_is_known() -> None:
    gate = a_gate()
    plate = Window(440, 280, 520, 305)
    gate.plan(street(CAR), 0.0)
    beside = Window(40, 200, 200, 320)
    look = gate.plan(street(CAR, beside), 0.2, [place(plate, 0.16)])
    assert holds(look, beside) and look.held == {1}


def test_where_all_moves_whole_frames_are_looked_at_as_often_as_what_moves() -> None:
    gate = a_gate()
    looks = [gate.plan(np.roll(STREET, 20 * n, 1), n / FPS) for n in range(FPS)]
    assert [n for n, look in enumerate(looks) if look.windows is None] == [0, 4, 8, 12, 16, 20, 24]


def test_another_size_and_a_long_pause_are_looked_at_as_a_whole() -> None:
    gate = a_gate()
    gate.plan(street(), 0.0)
    assert gate.plan(street()[:, :900], 1 / FPS).windows is None
    assert gate.plan(street()[:, :900], 2 / FPS).windows == ()
    assert gate.plan(street(CAR)[:, :900], 0.6).windows is None
    assert gate.plan(street(CAR)[:, :900], 1.5).windows == ()


def test_under_load_looks_are_rarer_and_a_whole_one_waits_for_plates_that_are_not_known() -> None:
    gate = a_gate()
    gate.stretch = 2.0
    assert gate.interval == pytest.approx(0.3)
    gate.plan(street(), 0.0)
    unsure = place(Window(440, 280, 520, 305), 0.0, reads=2, is_sure=False)
    whole = []
    for n in range(1, 7 * FPS):
        look = gate.plan(street(Window(n, 200, n + 160, 320)), n / FPS, [unsure] if n < 5 * FPS else [])
        if look.windows is None:
            whole.append(n / FPS)
    assert whole[0] == pytest.approx(5.0)
