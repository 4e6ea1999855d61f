"""The OpenAPI document: `/openapi.json`.

Litestar generates it from the handlers. Added here is what it cannot know: the bodies, which it does not decode; the
schemas as msgspec generates them, with every constraint; the headers; and that parameters are omitted, never null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cache
from importlib.metadata import version
from types import ModuleType
from typing import Any

import msgspec
from litestar import Litestar, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.routes import HTTPRoute

from taskapi import schemas
from taskapi.analytics import schemas as analytics_schemas
from taskapi.http.parameters import HttpRequest
from taskapi.http.request_body import JsonBody
from taskapi.kubernetes import schemas as kubernetes_schemas
from taskapi.schedules import schemas as schedules_schemas
from taskapi.traces import schemas as traces_schemas

CONFIG = OpenAPIConfig(
    title="Taskcore",
    version=version("taskapi"),
    description="A task service: submit tasks, follow their progress, and manage schedules, queues and alerts.",
    operation_id_creator=lambda handler, *_: handler.handler_name,
    use_handler_docstrings=True,
    path="/openapi",
    render_plugins=[],
)

#: Where the structs of requests and responses are.
SCHEMA_MODULES: Sequence[ModuleType] = (
    schemas,
    analytics_schemas,
    kubernetes_schemas,
    schedules_schemas,
    traces_schemas,
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
    whole["components"]["schemas"] = _schemas(whole["components"]["schemas"].keys())
    return whole


def _handlers(app: Litestar) -> Iterator[tuple[str, HTTPRouteHandler]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            yield from ((handler.handler_name, handler) for handler in route.route_handlers)


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


def _schemas(names: Set[str]) -> dict[str, Any]:
    _, components = msgspec.json.schema_components(list(_structs()), ref_template=_REF)
    if missing := names - components.keys():
        raise LookupError(f"handlers use structs that no module of SCHEMA_MODULES has: {sorted(missing)}")
    return components


def _structs() -> Iterator[type[msgspec.Struct]]:
    for module in SCHEMA_MODULES:
        for name, struct in vars(module).items():
            if isinstance(struct, type) and issubclass(struct, msgspec.Struct) and not name.startswith("_"):
                yield struct
