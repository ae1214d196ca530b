"""Events in the interface: looked for, followed, corrected, and their pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.responses import Response, StreamingResponse

from edge_lpr.io.csv_text import BYTE_ORDER_MARK
from edge_lpr.serve.record import Match, PassageRecord
from edge_lpr.serve.search import Query, search
from edge_lpr.serve.store import StoredEvent
from edge_lpr.serve.web.asking import Ask, Operation
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
    event = ask.context.store.correct(event_of(ask).record.id, text, ask.viewer.name)
    if event is None:  # deleted in between
        raise Problem(404, "there is no event of this id any more")
    _logger.info("event %s was corrected by %s", event.record.id, ask.viewer.name)
    return event


def _events(ask: Ask) -> Response:
    page = search(ask.context.store.database, query_of(ask.values))
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
