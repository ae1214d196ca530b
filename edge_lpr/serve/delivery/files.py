"""Events as lines of a file a day.

A passage stands in the file of the local day on which it began, so that each event has one file that it can
be in, and what is in it already is seen there: a process that is killed between the line and the queue's
knowing of it writes none twice.
"""

from __future__ import annotations

import json
import logging
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_lpr.errors import EdgeLprError, one_line
from edge_lpr.io.appended_text import AppendedText
from edge_lpr.io.atomic_io import create_folder
from edge_lpr.io.csv_text import BYTE_ORDER_MARK, csv_row, is_csv_row
from edge_lpr.io.text_file import LineFormat
from edge_lpr.pipeline.wall_clock import parse_iso
from edge_lpr.serve.delivery.items import DeliveryError, Item
from edge_lpr.serve.delivery.sender import DeliveryContext, Sender
from edge_lpr.serve.output_settings import FilesSettings
from edge_lpr.serve.record_table import COLUMNS, record_row

__all__ = ["FilesSender"]

_OPEN = 4  # days whose files are kept open; passages that wait may be of several
_TAIL = 1 << 20  # bytes at a file's end that are looked at for what was written, and not said to be

_logger = logging.getLogger("edge_lpr")


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


@dataclass(frozen=True)
class _Form:
    suffix: str
    lines: LineFormat
    write: Callable[[Item], str]
    # The beginning of an event's line, by which it is found again.
    key: Callable[[Item], str]


def _json_key(item: Item) -> str:
    found = item.record
    keys = ("version", "id", "camera", "state", "revision")
    return json.dumps({key: found[key] for key in keys}, ensure_ascii=False)[:-1] + ","


_FORMS = {
    "jsonl": _Form(
        ".jsonl",
        LineFormat("a file of JSON lines", is_first=lambda line: line.startswith("{"), is_whole=_is_object),
        lambda item: item.body + "\n",
        _json_key,
    ),
    "csv": _Form(
        ".csv",
        LineFormat(
            "a table with the columns of this version",
            is_first=lambda line: is_csv_row(line, COLUMNS),
            head=BYTE_ORDER_MARK + csv_row(COLUMNS),
            end="\r\n",
        ),
        lambda item: record_row(item.record),
        lambda item: csv_row([item.id, str(item.revision)]).rstrip("\r\n") + ",",
    ),
}


@dataclass
class _Day:
    text: AppendedText
    tail: str  # what stood there when the file was opened: what is written since has left the queue


class FilesSender(Sender):
    """Appends each event to the file of its day, on the disk before it leaves the queue.

    Args:
        settings: The output's settings.
        context: What it needs of the service.
    """

    def __init__(self, settings: FilesSettings, context: DeliveryContext) -> None:
        self._form = _FORMS[settings.form]
        self._folder = context.folder / settings.folder
        self._days: OrderedDict[str, _Day] = OrderedDict()
        self._is_there = False

    def tend(self) -> None:
        """Makes the folder, once it can be made: that of a network may be there later; see `Sender.tend`."""
        if not self._is_there:
            self._make_folder()

    def send(self, item: Item) -> None:
        """Appends an event, unless it stands there; see `Sender.send`."""
        if not self._is_there:
            self._make_folder()
        path = self._folder / (_local_day(item.record["first_utc"]) + self._form.suffix)
        try:
            day = self._day(path)
            if "\n" + self._form.key(item) not in day.tail:
                day.text.write(self._form.write(item))
        except (OSError, EdgeLprError) as e:
            self._forget(path.name)
            self._is_there = False  # what was there may be gone
            raise DeliveryError(one_line(e)) from e

    def close(self, seconds: float) -> None:
        """Closes the files."""
        for name in list(self._days):
            self._forget(name)

    def _make_folder(self) -> None:
        try:
            create_folder(self._folder)
        except EdgeLprError as e:
            raise DeliveryError(one_line(e)) from e
        self._is_there = True

    def _day(self, path: Path) -> _Day:
        day = self._days.get(path.name)
        if day is None:
            text = AppendedText(path, self._form.lines, lambda line: _logger.warning("%s", line))
            day = self._days[path.name] = _Day(text, _tail(path))
            while len(self._days) > _OPEN:
                self._forget(next(iter(self._days)))
        self._days.move_to_end(path.name)
        return day

    def _forget(self, name: str) -> None:
        day = self._days.pop(name, None)
        if day is not None:
            day.text.close()


def _local_day(first_utc: str) -> str:
    return parse_iso(first_utc).astimezone().date().isoformat()


def _tail(path: Path) -> str:
    """Returns the end of a file, with an end of line before its first whole line."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        return "\n" + file.read(_TAIL).decode("utf-8", "replace")
