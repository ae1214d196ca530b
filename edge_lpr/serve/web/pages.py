"""The pages: what is now, the events, the cameras; all of them made here, and whole without a script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from edge_lpr.counting import counted
from edge_lpr.errors import InputError
from edge_lpr.serve.search import Page, Query
from edge_lpr.serve.web.api_events import correct, event_of
from edge_lpr.serve.web.asking import Ask, Operation
from edge_lpr.serve.web.filters import EVENT_ID, FILTERS, PAGING, kinds, query_of, query_string
from edge_lpr.serve.web.pages_camera import CAMERA_PAGES, camera_views
from edge_lpr.serve.web.pages_sign import SIGN_PAGES
from edge_lpr.serve.web.pages_totals import TOTAL_PAGES
from edge_lpr.serve.web.parameters import Parameter
from edge_lpr.serve.web.probes import PROBES
from edge_lpr.serve.web.static_files import STATIC_FILES

__all__ = ["PAGES"]

_NEWEST = 20
_DONE = Parameter("done", "what was done", choices=("corrected",), default="")


def _now(ask: Ask) -> Response:
    context = ask.context
    found = context.store.search(Query(limit=_NEWEST))
    outputs = (f"output {name}: {why}" for name, why in context.queues.failing().items())
    warnings = [context.is_ready(), context.pictures.state, context.clock_trouble(), *outputs]
    return ask.page(
        "now.html",
        cameras=camera_views(context),
        events=found.events,
        warnings=[line for line in warnings if line],
    )


def _events(ask: Ask) -> Response:
    settings = ask.context.settings
    found, error = Page((), ""), ""
    try:
        found = ask.context.store.search(query_of(ask.values))
    except InputError as e:
        error = str(e)
    given = ask.request.query_params
    fields = {name: given.get(name, "") for name in (p.name for p in FILTERS)}
    is_later = bool(ask.values["cursor"])
    return ask.page(
        "events.html",
        status=400 if error else 200,
        values=ask.values,
        events=found.events,
        error=error,
        caption=f"{counted(len(found.events), 'events')}, the newest first",
        cameras=list(settings.cameras),
        lists=list(settings.lists),
        kinds=kinds(),
        from_text=fields["from"],
        to_text=fields["to"],
        link=query_string(fields),
        first_link=query_string(fields) if is_later else None,
        next_link=query_string(fields, cursor=found.cursor) if found.cursor else None,
    )


def _event(ask: Ask) -> Response:
    done = "The correction is kept." if ask.values["done"] else ""
    return _event_page(ask, done=done)


def _correct(ask: Ask) -> Response:
    typed = ask.form().get("text", "")
    try:
        event = correct(ask, typed)
    except InputError as e:
        return _event_page(ask, error=str(e), typed=typed, status=400)
    return RedirectResponse(f"/events/{quote(event.record.id, safe='')}?done=corrected", 303)


def _event_page(ask: Ask, **values: Any) -> Response:  # noqa: ANN401 (what the template shows)
    event = event_of(ask)
    record = event.record
    shown: Mapping[str, Any] = {
        "error": "",
        "done": "",
        "typed": event.text,
        "event": event,
        # Scores are missing only of what was written by hand.
        "characters": list(zip(record.text, record.char_scores, strict=False)),
        "page": "/events",
    }
    return ask.page("event.html", **{**shown, **values})


PAGES: tuple[Operation, ...] = (
    Operation("GET", "/", _now),
    Operation("GET", "/events", _events, (*FILTERS, *PAGING)),
    Operation("GET", "/events/{id}", _event, (EVENT_ID, _DONE)),
    Operation("POST", "/events/{id}", _correct, (EVENT_ID,)),
    *CAMERA_PAGES,
    *TOTAL_PAGES,
    *SIGN_PAGES,
    *STATIC_FILES,
    *PROBES,
)
