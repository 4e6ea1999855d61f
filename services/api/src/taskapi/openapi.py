"""The OpenAPI document: `/openapi.json`.

Litestar generates it from the handlers. Added here is what it cannot know: the bodies, which it does not decode; the
schemas as msgspec generates them, with every constraint; the headers; and that parameters are omitted, never null.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Litestar, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.routes import HTTPRoute

from taskapi.http.parameters import HttpRequest
from taskapi.http.request_body import JsonBody

CONFIG = OpenAPIConfig(
    title="Taskcore",
    version=version("taskapi"),
    description="A task service: submit tasks, follow their progress, and manage schedules, queues and alerts.",
    operation_id_creator=lambda handler, *_: handler.handler_name,
    use_handler_docstrings=True,
    path="/openapi",
    render_plugins=[],
)

_REF = "#/components/schemas/{name}"
_REQUEST_ID = {"X-Request-Id": "The id of the request: the client's own, or a generated one."}
_RETRY_AFTER = {"Retry-After": "Seconds to wait before the next try."}


@get("/", include_in_schema=False)
async def index() -> dict[str, str]:
    """Return the name of the service and the path of its OpenAPI document."""
    return {"name": "taskcore", "openapi": "/openapi.json"}


@get("/openapi.json", include_in_schema=False)
async def document(request: HttpRequest) -> dict[str, Any]:
    return _document(request.app)


@cache
def _document(app: Litestar) -> dict[str, Any]:
    whole: dict[str, Any] = app.openapi_schema.to_schema()
    handlers = dict(_handlers(app))
    for path in whole["paths"].values():
        for operation in path.values():
            _complete(operation, handlers[operation["operationId"]].opt.get("body"))
    _, schemas = msgspec.json.schema_components(_types(handlers.values()), ref_template=_REF)
    whole["components"]["schemas"] = _readable(schemas)
    return whole


def _handlers(app: Litestar) -> Iterator[tuple[str, HTTPRouteHandler]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            yield from ((one.handler_name, one) for one in route.route_handlers if one.resolve_include_in_schema())


def _complete(operation: dict[str, Any], body: JsonBody[Any] | None) -> None:
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
    if body is not None:
        content = {"schema": {"$ref": _REF.format(name=body.struct.__name__)}, "example": body.example}
        operation["requestBody"] = {"required": body.is_required, "content": {"application/json": content}}
    for status, response in operation["responses"].items():
        response["headers"] = _headers(response, status)


def _headers(response: Mapping[str, Any], status: str) -> dict[str, Any]:
    declared = {name: header["description"] for name, header in response.get("headers", {}).items()}
    descriptions = _REQUEST_ID | (_RETRY_AFTER if status == "503" else {}) | declared
    text = {"required": True, "schema": {"type": "string"}}
    return {name: {"description": description, **text} for name, description in descriptions.items()}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return `oneOf` a type and null as that type."""
    alternatives: list[dict[str, Any]] = [one for one in schema.get("oneOf", ()) if one != {"type": "null"}]
    if len(alternatives) != 1:
        return schema
    return {key: value for key, value in schema.items() if key != "oneOf"} | alternatives[0]


def _readable(schema: Any) -> Any:
    """Return the schema without `"items": false`, which says what `maxItems` says, and which some generators refuse."""
    if isinstance(schema, list):
        return [_readable(one) for one in schema]
    if isinstance(schema, dict):
        return {name: _readable(one) for name, one in schema.items() if (name, one) != ("items", False)}
    return schema


def _types(handlers: Iterable[HTTPRouteHandler]) -> Iterator[Any]:
    """Return the types of all bodies and responses."""
    for handler in handlers:
        if (body := handler.opt.get("body")) is not None:
            yield body.struct
        response = handler.parsed_fn_signature.return_type
        yield response.inner_types[0].annotation if response.is_subclass_of(Response) else response.annotation
        yield from (other.data_container for other in (handler.responses or {}).values())
