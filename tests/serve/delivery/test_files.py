"""Events as lines of a file a day: each once, whatever ends the process."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from helpers.extras import reason
from helpers.passages import match, record
from helpers.waiting import wait_until

pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

from helpers.deliveries import Service

from edge_lpr.serve.delivery.files import FilesSender
from edge_lpr.serve.delivery.items import DeliveryError, Item
from edge_lpr.serve.delivery.sender import DeliveryContext
from edge_lpr.serve.output_settings import FilesSettings
from edge_lpr.serve.record import PassageRecord
from edge_lpr.serve.record_table import COLUMNS


def sender(folder: Path, form: Any = "jsonl") -> FilesSender:
    settings = FilesSettings(type="files", folder="out", form=form)
    return FilesSender(settings, DeliveryContext(None, folder))  # type: ignore[arg-type]


def item(one: PassageRecord) -> Item:
    return Item(1, "out", one.id, one.revision, json.dumps(one.to_dict(), ensure_ascii=False), 0.0)


def day(one: PassageRecord) -> str:
    return f"{datetime.fromisoformat(one.first_utc.replace('Z', '+00:00')).astimezone():%Y-%m-%d}"


def lines(path: Path) -> list[tuple[str, int]]:
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [(one["id"], one["revision"]) for one in found]


def test_each_event_stands_in_the_file_of_its_passages_day(tmp_path: Path) -> None:
    first = record("a")
    other = record("b", first_utc="2026-11-20T12:00:00.000Z")
    out = sender(tmp_path)
    for one in (first, other, record("a", 2), record("a", 3)):
        out.send(item(one))
    out.close(0)
    assert lines(tmp_path / "out" / f"{day(first)}.jsonl") == [("a", 1), ("a", 2), ("a", 3)]
    written = (tmp_path / "out" / f"{day(other)}.jsonl").read_text(encoding="utf-8")
    assert json.loads(written) == json.loads(json.dumps(other.to_dict()))
    assert "粤B12345" in written


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_what_stands_there_is_not_written_again(tmp_path: Path, form: str) -> None:
    for _ in range(3):  # as after so many kills between the line and the queue
        out = sender(tmp_path, form)
        out.send(item(record("a")))
        out.send(item(record("b")))
        out.close(0)
    (path,) = (tmp_path / "out").iterdir()
    text = path.read_text(encoding="utf-8-sig")
    assert len(text.splitlines()) == 2 + (form == "csv")
    # One that only begins like another one is another one.
    out = sender(tmp_path, form)
    for one in (record("a", 11), record("a1")):
        out.send(item(one))
    out.close(0)
    assert len(path.read_text(encoding="utf-8-sig").splitlines()) == 4 + (form == "csv")


def test_a_torn_line_is_written_again(tmp_path: Path) -> None:
    out = sender(tmp_path)
    out.send(item(record("a")))
    out.send(item(record("b")))
    out.close(0)
    (path,) = (tmp_path / "out").iterdir()
    path.write_bytes(path.read_bytes()[:-20])  # the power went
    again = sender(tmp_path)
    again.send(item(record("b")))
    again.close(0)
    assert lines(path) == [("a", 1), ("b", 1)]


def test_a_table_opens_in_a_spreadsheet(tmp_path: Path) -> None:
    one = record("a", matches=(match(),), site="=1+1", crop="d/a.jpg")
    out = sender(tmp_path, "csv")
    out.send(item(one))
    out.send(item(record("b", corners=())))
    out.close(0)
    (path,) = (tmp_path / "out").iterdir()
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        first, second = csv.DictReader(file)
    assert list(first) == list(COLUMNS)
    assert first["site"] == "'=1+1"
    assert (first["list"], first["name"], first["action"]) == ("staff", "An", "allow")
    assert [first[name] for name in ("x1", "y1", "x4", "y4")] == ["10.0", "20.0", "10.0", "50.0"]
    assert first["candidates"] == "粤B12345:0.99 粤B1234S:0.01"
    assert (second["x1"], second["list"]) == ("", "")


def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    out = sender(tmp_path)
    out.tend()
    path = tmp_path / "out" / f"{day(record())}.jsonl"
    path.write_text("my notes\n", encoding="utf-8")
    with pytest.raises(DeliveryError, match="not a file of JSON lines to add to"):
        out.send(item(record()))
    assert path.read_text(encoding="utf-8") == "my notes\n"
    path.unlink()
    out.send(item(record()))
    out.close(0)
    assert lines(path) == [("a", 1)]


def test_a_folder_that_is_not_there_yet_is_waited_for_and_that_is_seen(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("", encoding="utf-8")
    with Service(tmp_path, {"out": FilesSettings(type="files", folder="out")}) as service:
        wait_until(lambda: "out: " in service.queues.failing().get("out", ""))
        service.offer(record())
        wait_until(lambda: service.queues.counts()["out"].failing)
        assert service.waiting == 1
        (tmp_path / "out").unlink()
        wait_until(lambda: service.waiting == 0)
        wait_until(lambda: not service.queues.failing())
    assert lines(tmp_path / "out" / f"{day(record())}.jsonl") == [("a", 1)]


def test_many_days_do_not_keep_many_files_open(tmp_path: Path) -> None:
    out = sender(tmp_path)
    for number in range(1, 29):
        out.send(item(record(f"p{number}", first_utc=f"2026-11-{number:02}T12:00:00.000Z")))
    assert len(out._days) == 4
    out.close(0)
    assert len(list((tmp_path / "out").iterdir())) == 28


def test_through_the_queue(tmp_path: Path) -> None:
    with Service(tmp_path, {"out": FilesSettings(type="files", folder="out")}) as service:
        service.offer(*(record(f"p{number}") for number in range(50)))
        wait_until(lambda: service.waiting == 0)
    (path,) = (tmp_path / "out").iterdir()
    assert lines(path) == [(f"p{number}", 1) for number in range(50)]
