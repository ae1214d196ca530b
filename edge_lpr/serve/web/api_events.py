"""Events in the interface: looked for, followed, corrected, and their pictures."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from starlette.responses import Response

from edge_lpr.datasets.label_text import clean_text
from edge_lpr.errors import InputError, shown
from edge_lpr.io.image_io import encode_image, read_image
from edge_lpr.plates.formats import plate_formats
from edge_lpr.serve.record import Match, PassageRecord
from edge_lpr.serve.rows import StoredEvent
from edge_lpr.serve.sharing import blurred
from edge_lpr.serve.web.asking import Ask, Operation
from edge_lpr.serve.web.downloads import events_csv
from edge_lpr.serve.web.filters import EVENT_ID, FILTERS, PAGING, query_of
from edge_lpr.serve.web.openapi import json_of, list_of, picture, reference, schema_of
from edge_lpr.serve.web.parameters import Parameter
from edge_lpr.serve.web.problems import Problem, json_response

__all__ = ["EVENTS", "EVENT_SCHEMAS", "correct", "event_of"]

_logger = logging.getLogger("edge_lpr")
_JPEG = {"cache-control": "private, max-age=60"}


def event_of(ask: Ask) -> StoredEvent:
    """Returns the event that a path names.

    Raises:
        Problem: There is none.
    """
    found = ask.context.store.get(ask.values["id"])
    if found is None:
        raise Problem(404, "there is no event of this id; what is older than event_days is deleted")
    return found


def correct(ask: Ask, text: str) -> StoredEvent:
    """Keeps what a person says that a plate is; "" takes it back.

    Raises:
        InputError: It can be no plate's.
        Problem: There is no such event.
    """
    _check_characters(text)
    event = ask.context.store.correct(event_of(ask).record.id, text, ask.viewer.name)
    if event is None:  # deleted in between
        raise Problem(404, "there is no event of this id any more")
    _logger.info("event %s was corrected by %s", event.record.id, ask.viewer.name)
    return event


def _events(ask: Ask) -> Response:
    page = ask.context.store.search(query_of(ask.values))
    return json_response({"events": [event.to_dict() for event in page.events], "cursor": page.cursor})


def _event(ask: Ask) -> Response:
    return json_response(event_of(ask).to_dict())


def _changes(ask: Ask) -> Response:
    events = ask.context.store.changes(ask.values["after"], ask.values["limit"])
    after = events[-1].sequence if events else ask.values["after"]
    return json_response({"events": [event.to_dict() for event in events], "after": after})


def _correct(ask: Ask) -> Response:
    body = ask.json()
    if not isinstance(body, dict) or list(body) != ["corrected_text"]:
        raise Problem(400, 'expected {"corrected_text": "…"}, and "" to take a correction back')
    text = body["corrected_text"]
    if not isinstance(text, str):
        raise Problem(400, "corrected_text is no string", field="corrected_text")
    return json_response(correct(ask, text).to_dict())


def _picture(ask: Ask, name: str) -> Response:
    record = event_of(ask).record
    relative = record.crop if name == "crop" else record.frame
    path = ask.context.pictures.open_path(relative) if relative else None
    if path is None:
        raise Problem(404, "there is no such picture, or none any more: picture_days, picture_gigabytes")
    try:
        data = path.read_bytes()
    except OSError as e:  # it was deleted in between
        raise Problem(404, "there is no such picture any more") from e
    return Response(data, media_type="image/jpeg", headers=_JPEG)


def _shared(ask: Ask) -> Response:
    event = event_of(ask)
    path = ask.context.pictures.open_path(event.record.frame) if event.record.frame else None
    if path is None:
        raise Problem(404, "there is no whole frame of this event, or none any more")
    # It takes as long as some frames of cameras do.
    if not _sharing.acquire(blocking=False):
        raise Problem(503, "another picture is being made; try again", {"Retry-After": "2"})
    try:
        corners = np.array(event.record.corners, np.float32)
        shared = blurred(read_image(path), ask.context.reader.reader, [corners] if corners.size else [])
    finally:
        _sharing.release()
    data = encode_image(shared, ".jpg")
    if data is None:
        raise Problem(500, "the picture cannot be encoded")
    return Response(data, media_type="image/jpeg", headers=_JPEG)


def _check_characters(text: str) -> None:
    known = {character for plate in plate_formats() for place in plate.positions for character in place}
    wrong = [character for character in clean_text(text) if character not in known]
    if wrong:
        raise InputError(
            f"plate {shown(text)}: {shown(wrong[0])} stands on no plate; expected letters, digits and the "
            "characters of provinces and kinds; no plate has I, nor O but behind the province"
        )


_sharing = threading.Lock()
_REVISION = Parameter("r", "any text: a browser asks again where it is another", most=24, default="")
_PICTURE_PATH = "/api/v1/events/{id}/"
_EVENT = {"application/json": reference("Event")}
_ADDED: Mapping[str, Mapping[str, Any]] = {
    "action": {"type": "string", "description": "What the list that counts says."},
    "version": {"type": "integer", "description": "Grows when the meaning of a field changes."},
    "sequence": {"type": "integer", "description": "Grows with all that is written; see /changes."},
    "corrected_text": {"type": "string", "description": 'What a person says that the plate is; "" for none.'},
    "corrected_at": {"type": "string", "description": "When, ISO 8601 UTC."},
    "corrected_by": {"type": "string", "description": "Who."},
}
EVENT_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "Event": schema_of(PassageRecord, _ADDED),
    "Match": schema_of(Match),
}
EVENTS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/api/v1/events",
        _events,
        (*FILTERS, *PAGING),
        "findEvents",
        "Finds events, the newest first; cursor says where the next page begins, and is empty on the last",
        gives=json_of({"events": list_of("Event"), "cursor": {"type": "string"}}),
    ),
    Operation(
        "GET",
        "/api/v1/events.csv",
        events_csv,
        FILTERS,
        "downloadEvents",
        "Events as a table for spreadsheets, the newest first",
        gives={"text/csv": {}},
    ),
    Operation(
        "GET",
        "/api/v1/changes",
        _changes,
        (
            Parameter("after", "the one of the answer before; 0 begins", "integer", most=2**62, default=0),
            Parameter("limit", "events at most", "integer", least=1, most=1000, default=100),
        ),
        "followEvents",
        "Events that were written or changed since, the oldest change first: ask again with the after of "
        "the answer, and none is missed",
        gives=json_of({"events": list_of("Event"), "after": {"type": "integer"}}),
    ),
    Operation(
        "GET",
        "/api/v1/events/{id}",
        _event,
        (EVENT_ID,),
        "getEvent",
        "One event",
        gives=_EVENT,
        problems=(404,),
    ),
    Operation(
        "PATCH",
        "/api/v1/events/{id}",
        _correct,
        (EVENT_ID,),
        "correctEvent",
        "Keeps what a person says that a plate is, beside what was read; an empty text takes that back",
        takes=json_of({"corrected_text": {"type": "string", "maxLength": 32}}),
        gives=_EVENT,
        problems=(404, 413),
    ),
    Operation(
        "GET",
        _PICTURE_PATH + "crop.jpg",
        lambda ask: _picture(ask, "crop"),
        (EVENT_ID, _REVISION),
        "getCrop",
        "The plate, cut out",
        gives=picture(),
        problems=(404,),
    ),
    Operation(
        "GET",
        _PICTURE_PATH + "frame.jpg",
        lambda ask: _picture(ask, "frame"),
        (EVENT_ID, _REVISION),
        "getFrame",
        "The whole frame",
        gives=picture(),
        problems=(404,),
    ),
    Operation(
        "GET",
        _PICTURE_PATH + "shared.jpg",
        _shared,
        (EVENT_ID, _REVISION),
        "getSharedFrame",
        "The whole frame with all plates that are found made unreadable; look at it before you share it",
        gives=picture(),
        problems=(404,),
    ),
)
