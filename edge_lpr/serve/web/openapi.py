"""The description of the interface, OpenAPI 3.1: made of the table of its routes and the types they give."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter

from edge_lpr._version import __version__
from edge_lpr.serve.web.asking import Operation
from edge_lpr.serve.web.guard import COOKIE

__all__ = ["describe", "json_of", "list_of", "picture", "reference", "schema_of"]

_NAMESPACE = "#/components/schemas/"
_EVERY = (400, 401, 403, 421, 429, 500)
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what was expected."},
        "field": {"type": "string", "description": "The parameter that is wrong, where it is one."},
    },
}


def reference(name: str) -> dict[str, Any]:
    """Returns a reference to a schema by its name."""
    return {"$ref": _NAMESPACE + name}


def json_of(properties: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the answer of a route: a JSON object with these properties, all of them there."""
    schema = {"type": "object", "required": list(properties), "properties": dict(properties)}
    return {"application/json": schema}


def list_of(name: str) -> dict[str, Any]:
    """Returns the schema of a list of what is known by a name."""
    return {"type": "array", "items": reference(name)}


def picture() -> dict[str, Any]:
    """Returns the answer of a route that gives a picture."""
    return {"image/jpeg": {}}


def schema_of(
    kind: type, extra: Mapping[str, Mapping[str, Any]] | None = None, leave_out: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Returns the schema of a dataclass, its attributes described by its docstring.

    Args:
        kind: The dataclass.
        extra: Properties that are given beside.
        leave_out: Attributes that are not given.
    """
    # "serialization": what is given has all its fields, also those with defaults.
    schema = TypeAdapter(kind).json_schema(mode="serialization", ref_template=_NAMESPACE + "{model}")
    schema.pop("$defs", None)
    for name in leave_out:
        del schema["properties"][name]
    documentation = inspect.getdoc(kind) or ""
    about = {
        name: " ".join(text.split())
        for name, text in re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", documentation, re.MULTILINE)
    }
    for name, value in schema["properties"].items():
        value.pop("default", None)
        value.pop("title", None)
        if name in about:
            value["description"] = about[name]
    schema["properties"] |= extra or {}
    schema["required"] = list(schema["properties"])
    schema["description"] = documentation.partition("\n")[0]
    return schema


def describe(operations: Iterable[Operation], schemas: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Describes the interface.

    Args:
        operations: Its routes.
        schemas: Of what they give, by the names of `reference`.

    Returns:
        The document, plain values.
    """
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "edge-lpr serve",
            "version": __version__,
            "description": (
                "Passages of vehicles with the plates that were read. A token of the configuration stands in "
                "the header Authorization. Where there is none, and the machine alone reaches the service, "
                "what changes anything has the header X-Edge-LPR: 1, which no page of elsewhere can send."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}, {}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": _PROBLEM},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    answers: dict[str, Any] = {
        "200": {
            "description": operation.about,
            "content": {
                kind: {"schema": schema} if schema else {} for kind, schema in operation.gives.items()
            },
        }
    }
    content = {"application/problem+json": {"schema": reference("Problem")}}
    for status in sorted({*_EVERY, *operation.problems}):
        answers[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.about,
        "parameters": [parameter.describe() for parameter in operation.parameters],
        "responses": answers,
    }
    if operation.takes:
        found["requestBody"] = {
            "required": True,
            "content": {
                kind: {"schema": schema} if schema else {} for kind, schema in operation.takes.items()
            },
        }
    return found
