"""Lists: what matches and why, and what counts first."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_lpr.errors import InputError
from edge_lpr.serve.lists import Lists
from edge_lpr.serve.settings import ListedPlate, ListSettings

FRIDAY = datetime(2026, 11, 27, 12, 0).astimezone()
SURE = (0.99,) * 7


def lists(**named: dict[str, Any]) -> Lists:
    """Lists by name; the action is "allow" where none is said."""
    settings = {
        name: ListSettings.model_validate({"action": "allow", **values}) for name, values in named.items()
    }
    return Lists.load(settings, Path())


def how(
    found: Lists,
    text: str = "京A12345",
    scores: tuple[float, ...] = SURE,
    candidates: tuple[str, ...] = (),
    camera: str = "gate",
    when: datetime = FRIDAY,
) -> list[tuple[str, str, str]]:
    """The matches of a reading: list, plate and reason."""
    matches = found.match(text, scores, candidates, camera, when)
    return [(match.list, match.plate, match.how) for match in matches]


@pytest.mark.parametrize(
    ("values", "reading", "expected"),
    [
        ({"plates": ["京A12345"]}, {}, "exact"),
        ({"plates": ["京a·１２３４５"]}, {}, "exact"),
        ({"plates": ["京A12346"]}, {}, None),
        ({"plates": ["京A1Z34S"]}, {}, "lookalike"),
        ({"plates": ["京A1Z34S"], "lookalikes": False}, {}, None),
        ({"patterns": ["京A*5"]}, {}, "pattern"),
        ({"patterns": ["京A1?34S"]}, {}, "pattern"),
        ({"patterns": ["京A1?34S"], "lookalikes": False}, {}, None),
        ({"patterns": ["京A"]}, {}, None),
        ({"plates": ["?A1234?"]}, {}, "pattern"),
        # A doubtful character lets a plate match only where the rule allows that, and only that character.
        ({"plates": ["京A12349"]}, {"scores": (0.99,) * 6 + (0.5,)}, None),
        ({"plates": ["京A12349"], "doubtful": 1}, {"scores": (0.99,) * 6 + (0.5,)}, "doubtful"),
        ({"plates": ["京A12349"], "doubtful": 1}, {"scores": (0.99,) * 6 + (0.9,)}, None),
        ({"plates": ["京A12349"], "doubtful": 1, "sure": 0.99}, {"scores": (0.99,) * 6 + (0.9,)}, "doubtful"),
        ({"plates": ["京A12399"], "doubtful": 1}, {"scores": (0.99,) * 5 + (0.5, 0.5)}, None),
        ({"plates": ["京A12399"], "doubtful": 2}, {"scores": (0.99,) * 5 + (0.5, 0.5)}, "doubtful"),
        ({"plates": ["京A12399"], "doubtful": 2}, {"scores": (0.99,) * 6 + (0.5,)}, None),
        ({"plates": ["京A1234"], "doubtful": 3}, {"scores": (0.1,) * 7}, None),
        # Look-alikes cost no doubt.
        (
            {"plates": ["京A1234S"], "doubtful": 1},
            {"text": "京A1Z349", "scores": (0.99,) * 6 + (0.5,)},
            "doubtful",
        ),
        ({"plates": ["京A12349"]}, {"candidates": ("京A12349",)}, None),
        ({"plates": ["京A12349"], "candidates": 1}, {"candidates": ("京A12349",)}, "candidate"),
        ({"plates": ["京A12349"], "candidates": 1}, {"candidates": ("京A12348", "京A12349")}, None),
        ({"plates": ["京A12349"], "candidates": 2}, {"candidates": ("京A12348", "京A12349")}, "candidate"),
        ({"plates": ["京A12345"], "cameras": ["yard"]}, {}, None),
        ({"plates": ["京A12345"], "cameras": ["gate"]}, {}, "exact"),
        ({"plates": ["京A12345"], "times": ["Mon-Fri 11:00-13:00"]}, {}, "exact"),
        ({"plates": ["京A12345"], "times": ["Sat,Sun"]}, {}, None),
    ],
)
def test_what_matches(values: dict[str, Any], reading: dict[str, Any], expected: str | None) -> None:
    found = how(lists(known=values), **reading)
    assert [reason for _, _, reason in found] == ([] if expected is None else [expected])


def test_the_surest_reason_is_told() -> None:
    known = {
        "plates": ["京A1234S", "京A12345", "京A12349"],
        "patterns": ["京A*"],
        "doubtful": 1,
        "candidates": 1,
    }
    unsure = (0.5,) * 7
    assert how(lists(known=known), scores=unsure) == [("known", "京A12345", "exact")]
    assert how(lists(known=known), "京A1Z345", unsure) == [("known", "京A1234S", "lookalike")]
    assert how(lists(known=known), "京A12348", unsure) == [("known", "京A*", "pattern")]


def test_until_is_the_last_day() -> None:
    plates = [ListedPlate(plate="京A12345", name="张三", until="2026-11-27")]
    known = Lists.load({"known": ListSettings(action="allow", plates=list(plates))}, Path())
    assert known.match("京A12345", SURE, (), "gate", FRIDAY)[0].name == "张三"
    assert how(known, when=FRIDAY + timedelta(days=1)) == []
    # One that has run out hides no other.
    both = {"plates": [plates[0].model_dump(), "京A1234S"]}
    assert how(lists(known=both), when=FRIDAY + timedelta(days=1)) == [("known", "京A1234S", "lookalike")]


def test_what_counts_first() -> None:
    known = {"plates": ["京A12345"]}
    found = lists(
        seen={**known, "action": "watch"},
        friends=known,
        thieves={**known, "action": "deny"},
        police={**known, "priority": 1},
        last={**known, "action": "deny", "priority": -1},
    )
    assert [name for name, _, _ in how(found)] == ["police", "thieves", "friends", "seen", "last"]
    assert found.sizes() == {"police": 1, "thieves": 1, "friends": 1, "seen": 1, "last": 1}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"plates": ["··"]}, "lists.known: plate '··': expected 1 to 16 characters"),
        ({"patterns": ["1" * 17]}, "expected 1 to 16 characters"),
        ({"patterns": ["*1*2*3*4*"]}, r"lists.known: pattern '\*1\*2\*3\*4\*': expected 4 \* at most"),
        ({"plates": [{"plate": "京A12345", "until": "31.1.2027"}]}, "expected a day as 2027-01-31"),
        ({"times": ["noon"]}, "lists.known.times: 'noon'"),
        ({"file": "missing.csv"}, "missing.csv: cannot be read"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        lists(known=values)


def test_a_list_has_its_file_s_plates_too(tmp_path: Path) -> None:
    (tmp_path / "known.csv").write_text("plate,name\n京A12345,张三\n沪?8888*,\n", encoding="utf-8")
    settings = ListSettings(action="allow", plates=["粤B12345"], file="known.csv")
    known = Lists.load({"known": settings}, tmp_path)
    assert known.sizes() == {"known": 3}
    assert known.match("京A12345", SURE, (), "gate", FRIDAY)[0].name == "张三"
    assert how(known, "沪B88881") == [("known", "沪?8888*", "pattern")]


def test_of_a_hundred_thousand_plates_the_one_is_found_that_a_doubtful_reading_may_be() -> None:
    rng = random.Random(3)
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
    plates: list[Any] = ["粤B" + "".join(rng.choices(letters, k=5)) for _ in range(99_999)]
    settings = ListSettings(action="allow", plates=[*plates, "京AHJKLM"], doubtful=3, candidates=3)
    many = Lists.load({"known": settings}, Path())
    assert how(many, "学警使领港澳挂", (0.5,) * 7, ("学警使领港澳1",) * 3) == []
    assert how(many, "京AHJXXX", (0.99,) * 4 + (0.5,) * 3) == [("known", "京AHJKLM", "doubtful")]
