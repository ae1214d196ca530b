"""Parameters: read by what declares them, and described by it."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from edge_lpr.serve.web.parameters import Parameter, read_parameters
from edge_lpr.serve.web.problems import Problem

TIME = Parameter("from", "when", "time")


@pytest.mark.parametrize(
    "text",
    [
        *("2026-11-27T12:00:00Z", "2026-11-27T12:00Z", "2026-11-27T20:00:00+08:00", "2026-11-27T20:00+08:00"),
        "2026-11-27T20:00 08:00",  # as a query has a "+" that nobody encoded
    ],
)
def test_a_time_with_an_offset(text: str) -> None:
    assert TIME.read(text) == datetime(2026, 11, 27, 12, tzinfo=timezone.utc).timestamp()


def test_a_time_without_one_is_of_this_machine() -> None:
    for text in ("2026-11-27T12:00", "2026-11-27 12:00:00"):
        assert TIME.read(text) == datetime(2026, 11, 27, 12).timestamp()
    assert TIME.read("2026-11-27") == datetime(2026, 11, 27).timestamp()


@pytest.mark.parametrize(
    "text", ["now", "1", "2026-13-01", "2026-11-27T25:00", "-1", "99999-01-01", "x" * 1000]
)
def test_what_is_no_time_is_shown_in_short(text: str) -> None:
    with pytest.raises(Problem, match=r"^from is .* expected a time as") as raised:
        TIME.read(text)
    assert (raised.value.status, raised.value.field) == (400, "from")
    assert len(str(raised.value)) < 250


def test_defaults_and_empty_fields() -> None:
    known = (Parameter("limit", "", "integer", least=1, most=9, default=5), Parameter("id", "", place="path"))
    assert read_parameters(known, [("limit", " ")], {"id": "a"}) == {"limit": 5, "id": "a"}
    assert read_parameters(known, [("limit", "9")], {"id": "a"})["limit"] == 9
    with pytest.raises(Problem, match="id stands there twice"):
        read_parameters(known, [("id", "b")], {"id": "a"})


def test_what_is_described_is_what_is_read() -> None:
    assert Parameter("n", "of it", "integer", least=1, most=9, default=5).describe() == {
        "name": "n",
        "in": "query",
        "description": "of it",
        "required": False,
        "schema": {"type": "integer", "minimum": 1, "maximum": 9, "default": 5},
    }
    assert Parameter("a", "", choices=("in", "out")).describe()["schema"] == {
        "type": "string",
        "enum": ["in", "out"],
    }
    assert Parameter("id", "", place="path").describe()["required"] is True
