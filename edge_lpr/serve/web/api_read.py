"""Reading a picture that is posted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import UploadFile
from starlette.responses import Response

from edge_lpr.errors import SourceError
from edge_lpr.io.image_io import decode_image
from edge_lpr.serve.web.asking import Ask, Operation
from edge_lpr.serve.web.guard import READ_PATH
from edge_lpr.serve.web.openapi import json_of, list_of
from edge_lpr.serve.web.problems import Problem, json_response

__all__ = ["READ", "READ_SCHEMAS"]

_MOST_PIXELS = 32_000_000


async def _read(ask: Ask) -> Response:
    data = await _picture(ask)
    try:
        image = await ask.context.work(lambda: decode_image(data, "the picture", _MOST_PIXELS))
    except SourceError as e:
        raise Problem(415, str(e)) from e
    plates = await ask.context.reader.read(image)
    height, width = image.shape[:2]
    return json_response({"plates": [plate.to_dict() for plate in plates], "width": width, "height": height})


async def _picture(ask: Ask) -> bytes:
    """Returns the picture of a body: the body itself, or the part "picture" of a form.

    Of another kind of form the body is what counts, too: so curl calls anything that it is given.
    """
    kind = ask.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        return ask.body
    async with ask.request.form(max_files=1, max_fields=8, max_part_size=1024) as form:
        part = form.get("picture")
        if not isinstance(part, UploadFile):
            raise Problem(400, "expected a file in the part picture", field="picture")
        return await part.read()


_NUMBER = {"type": "number", "minimum": 0, "maximum": 1}
READ_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "PlateRead": {
        "type": "object",
        "description": "One plate in a picture.",
        "required": ["text", "kind", "score", "min_score", "char_scores", "corners", "candidates"],
        "properties": {
            "text": {"type": "string"},
            "kind": {"type": "string", "description": 'The kind of plate; "text" where it is rather none.'},
            "score": {**_NUMBER, "description": "Mean of char_scores."},
            "min_score": {**_NUMBER, "description": "The lowest of char_scores."},
            "char_scores": {"type": "array", "items": _NUMBER},
            "corners": {
                "type": "array",
                "description": "Top-left, top-right, bottom-right, bottom-left, x and y in pixels.",
                "minItems": 4,
                "maxItems": 4,
                "items": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number"}},
            },
            "candidates": {
                "type": "array",
                "description": "Other texts, the most probable first.",
                "items": {
                    "type": "object",
                    "required": ["text", "score"],
                    "properties": {"text": {"type": "string"}, "score": _NUMBER},
                },
            },
        },
    }
}
_SIZE = {"type": "integer", "minimum": 1}
READ: tuple[Operation, ...] = (
    Operation(
        "POST",
        READ_PATH,
        _read,
        (),
        "readPicture",
        "Reads the plates of one picture: JPEG, PNG, WebP and others, of at most 16 MiB and 32 megapixels",
        takes={
            "image/*": {},
            "multipart/form-data": {
                "type": "object",
                "required": ["picture"],
                "properties": {"picture": {"type": "string", "contentMediaType": "image/*"}},
            },
        },
        gives=json_of({"plates": list_of("PlateRead"), "width": _SIZE, "height": _SIZE}),
        problems=(408, 413, 415, 503),
    ),
)
