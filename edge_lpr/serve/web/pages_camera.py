"""The cameras' pages: what each sees, and where in its picture it reads."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError
from starlette.responses import RedirectResponse, Response

from edge_lpr.errors import InputError, shown
from edge_lpr.io.plain_data import parse_json
from edge_lpr.serve.board import CameraState
from edge_lpr.serve.regions import DrawnRegions, as_toml
from edge_lpr.serve.setting_types import MOST_POLYGONS, Polygon
from edge_lpr.serve.web.asking import Ask, Operation
from edge_lpr.serve.web.context import Polygons, WebContext
from edge_lpr.serve.web.filters import CAMERA
from edge_lpr.serve.web.live import LiveResponse, Viewers
from edge_lpr.serve.web.parameters import Parameter
from edge_lpr.serve.web.problems import Problem
from edge_lpr.serve.web.templates import local_time

__all__ = ["CAMERA_PAGES", "CameraView", "camera_views", "polygons_of"]

_DONE = Parameter("done", "what was done", choices=("saved",), default="")
_COUNT = Parameter("n", "any number: another picture is asked for", most=20, default="")
_POLYGONS = TypeAdapter(list[Polygon])
_viewers = Viewers()
_logger = logging.getLogger("edge_lpr")


@dataclass(frozen=True)
class CameraView:
    """What a page shows of a camera.

    Attributes:
        name: Its name.
        state: Its state.
        about: More of it, in words.
        has_picture: Whether there is a picture of it.
    """

    name: str
    state: str
    about: str
    has_picture: bool


def camera_views(context: WebContext) -> list[CameraView]:
    """Returns what pages show of all cameras."""
    return [
        CameraView(one.name, one.state, _about(one), one.has_picture) for one in context.cameras.snapshot()
    ]


def _about(one: CameraState) -> str:
    if one.state == "live":
        return f"{one.fps:.1f} frames a second" + (f"; {one.detail}" if one.detail else "")
    return f"since {local_time(one.since)}" + (f": {one.detail}" if one.detail else "")


def polygons_of(text: str, name: str) -> list[Polygon]:
    """Reads polygons as a form has them.

    Args:
        text: Lists of corners in JSON, which is TOML as well.
        name: What the field is called.

    Raises:
        InputError: They are none, or too many.
    """
    if not text.strip():
        return []
    try:
        parse_json(text, name, InputError)  # within bounds of nesting and numbers
        found = _POLYGONS.validate_json(text, strict=True)
    except ValidationError as e:
        first = e.errors(include_url=False, include_context=False)[0]
        where = ", ".join(f"{part + 1}" for part in first["loc"] if isinstance(part, int))
        raise InputError(
            f"{name}: polygon, corner {where or 1}: {first['msg']}; found {shown(first['input'], 40)}, "
            "expected polygons of 3 to 64 corners [x, y], 0 to 1"
        ) from None
    if len(found) > MOST_POLYGONS:
        raise InputError(f"{name}: {len(found)} polygons, expected {MOST_POLYGONS} at most")
    return found


def _camera(ask: Ask) -> Response:
    return _page(ask, done="Saved. It holds from the next frames on." if ask.values["done"] else "")


def _draw(ask: Ask) -> Response:
    view, form = _view(ask), ask.form()
    try:
        regions = polygons_of(form.get("regions", ""), "regions")
        masks = polygons_of(form.get("masks", ""), "masks")
        ask.context.change_regions(view.name, regions, masks)
    except InputError as e:
        return _page(ask, error=str(e), typed=form, status=400)
    _logger.info("%s: regions and masks were drawn by %s", view.name, ask.viewer.name)
    return RedirectResponse(f"/cameras/{quote(view.name)}?done=saved", 303)


def _still(ask: Ask) -> Response:
    return Response(_latest(ask.context, _view(ask).name), media_type="image/jpeg")


async def _live(ask: Ask) -> Response:
    context = ask.context
    view = await context.work(lambda: _view(ask))
    first = await context.work(lambda: _latest(context, view.name))

    def may_look() -> bool:
        return ask.access.may_go_on(context.settings.web, ask.viewer)

    return LiveResponse(context, view.name, _viewers, first, may_look)


def _latest(context: WebContext, camera: str) -> bytes:
    picture = context.cameras.latest(camera)
    if picture is None:
        raise Problem(503, f"{camera}: there is no picture", {"Retry-After": "5"})
    return picture


def _view(ask: Ask) -> CameraView:
    for view in camera_views(ask.context):
        if view.name == ask.values["name"]:
            return view
    raise Problem(404, "there is no camera of this name")


def _page(
    ask: Ask, error: str = "", done: str = "", typed: dict[str, str] | None = None, status: int = 200
) -> Response:
    view = _view(ask)
    areas = ask.context.areas(view.name)
    texts = {"regions": _text(areas.regions), "masks": _text(areas.masks)} | (typed or {})
    return ask.page(
        "camera.html",
        status=status,
        page="/",
        camera=view,
        error=error,
        done=done,
        regions=texts["regions"],
        masks=texts["masks"],
        is_drawn=areas.is_drawn,
        toml=as_toml(
            view.name, DrawnRegions.model_validate({"regions": areas.regions, "masks": areas.masks})
        ),
    )


def _text(polygons: Polygons) -> str:
    """Writes polygons as JSON and TOML both have them, each in a line of its own."""
    lines = ",\n".join(f" {json.dumps(polygon)}" for polygon in polygons)
    return f"[\n{lines}\n]" if lines else "[]"


CAMERA_PAGES: tuple[Operation, ...] = (
    Operation("GET", "/cameras/{name}", _camera, (CAMERA, _DONE)),
    Operation("POST", "/cameras/{name}", _draw, (CAMERA,)),
    Operation("GET", "/cameras/{name}/still.jpg", _still, (CAMERA, _COUNT)),
    Operation("GET", "/cameras/{name}/live.mjpeg", _live, (CAMERA,)),
)
