"""Pages of lists, stays and counts."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from edge_lpr.serve.settings import ListSettings
from edge_lpr.serve.stays import occupancy
from edge_lpr.serve.web.asking import Ask, Operation
from edge_lpr.serve.web.charts import bar_chart
from edge_lpr.serve.web.downloads import training_zip
from edge_lpr.serve.web.filters import query_string
from edge_lpr.serve.web.parameters import Parameter
from edge_lpr.serve.web.totals import (
    BY,
    COUNT_FILTERS,
    HIT_DAYS,
    STAY_FILTERS,
    counted,
    found_stays,
    listed,
    sites,
    table_of,
)

__all__ = ["TOTAL_PAGES"]

_SHOWN = 500  # plates of a list
_APART = Parameter("apart", "what the chart tells apart", choices=BY, default=BY[0])


def _lists(ask: Ask) -> Response:
    context, lists = ask.context, ask.context.settings.lists
    shown = [
        {
            **one,
            "holds": _holds(lists[one["name"]]),
            "shown": context.lists.plates(one["name"], _SHOWN),
        }
        for one in listed(context, lists)
    ]
    return ask.page("lists.html", lists=shown, days=HIT_DAYS)


def _holds(one: ListSettings) -> str:
    """Says when and where a list holds, and how exactly it is matched."""
    parts = [
        "at " + ", ".join(one.cameras) if one.cameras else "",
        ", ".join(one.times),
        "look-alikes too" if one.lookalikes else "exactly",
        f"{one.doubtful} doubtful character{'s' * (one.doubtful > 1)}" if one.doubtful else "",
    ]
    return "; ".join(part for part in parts if part)


def _stays(ask: Ask) -> Response:
    known = sites(ask.context.settings)
    if known and ask.values["site"] not in known:
        ask.values["site"] = known[0]
    found = found_stays(ask)
    return ask.page(
        "stays.html",
        stays=found[::-1],
        inside=occupancy(found),
        sites=known,
        values=ask.values,
        link=query_string(_given(ask), site=ask.values["site"]),
        **_times(ask),
    )


def _counts(ask: Ask) -> Response:
    found, since, before = counted(ask)
    apart, by = ask.values["apart"], ask.values["by"]
    table = table_of(found, apart, by, since, before)
    title = f"Passages by {by} and {apart}"
    given = _given(ask)
    return ask.page(
        "counts.html",
        table=table,
        title=title,
        chart=bar_chart(title, table.series, table.rows),
        cameras=list(ask.context.settings.cameras),
        values=ask.values,
        choices=BY,
        link=query_string({name: text for name, text in given.items() if name != "apart"}),
        **_times(ask),
    )


def _given(ask: Ask) -> dict[str, str]:
    return dict(ask.request.query_params)


def _times(ask: Ask) -> dict[str, Any]:
    return {f"{name}_text": ask.request.query_params.get(name, "") for name in ("from", "to")}


TOTAL_PAGES: tuple[Operation, ...] = (
    Operation("GET", "/lists", _lists),
    Operation("GET", "/stays", _stays, STAY_FILTERS),
    Operation("GET", "/counts", _counts, (*COUNT_FILTERS, _APART)),
    Operation("GET", "/training.zip", training_zip),
)
