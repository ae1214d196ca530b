"""Tables and sets to take away: a part at a time, so that the largest fits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial

from starlette.responses import Response, StreamingResponse

from edge_lpr.io.csv_text import BYTE_ORDER_MARK, csv_row
from edge_lpr.serve.label_export import label_parts
from edge_lpr.serve.record_table import COLUMNS, record_cells
from edge_lpr.serve.search import MAX_LIMIT, Page, Query
from edge_lpr.serve.web.asking import Ask
from edge_lpr.serve.web.filters import query_of

__all__ = ["csv_response", "events_csv", "training_zip"]

_CORRECTION = ("corrected_text", "corrected_at", "corrected_by")
_MOST_CROPS = 50_000


async def events_csv(ask: Ask) -> Response:
    """Answers with a table of the events that a query finds."""
    context = ask.context
    query = query_of(ask.values, limit=MAX_LIMIT)

    def page(after: Query) -> Page:
        return context.store.search(after)

    first = await context.work(lambda: page(query))  # what is wrong with the query is told before the table

    async def parts() -> AsyncIterator[str]:
        yield BYTE_ORDER_MARK + csv_row((*COLUMNS, *_CORRECTION))
        found = first
        while True:
            yield "".join(
                csv_row(
                    (*record_cells(event.record.to_dict()), *(getattr(event, name) for name in _CORRECTION))
                )
                for event in found.events
            )
            if not found.cursor:
                return
            found = await context.work(partial(page, replace(query, cursor=found.cursor)))

    return StreamingResponse(parts(), headers=_attachment("events.csv"), media_type="text/csv")


def csv_response(name: str, columns: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> Response:
    """Answers with a small table."""
    text = BYTE_ORDER_MARK + csv_row(columns) + "".join(map(csv_row, rows))
    return Response(text, headers=_attachment(name), media_type="text/csv")


def training_zip(ask: Ask) -> Response:
    """Answers with the crops whose text a person has given."""
    parts = label_parts(ask.context.store.corrected(_MOST_CROPS), ask.context.pictures)
    return StreamingResponse(parts, headers=_attachment("training.zip"), media_type="application/zip")


def _attachment(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"'}
