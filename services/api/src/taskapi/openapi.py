"""The contract as a document: `/openapi.json`.

Litestar writes it from the handlers. What it cannot know is added here: the bodies, which are decoded by us and not by
it; the schemas as msgspec has them, with every bound; the headers; and that a parameter is left out, never null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cache
from types import ModuleType
from typing import Any

import msgspec
from litestar import Litestar, Request, get
from litestar.openapi import OpenAPIConfig

from taskapi import schemas
from taskapi.analytics import schemas as analytics_schemas
from taskapi.kubernetes import schemas as kubernetes_schemas
from taskapi.schedules import schemas as schedules_schemas
from taskapi.traces import schemas as traces_schemas

CONFIG = OpenAPIConfig(
    title="Taskcore",
    version="0.1.0",
    description="Hands work to workers, keeps every step of it, and tells how it stands.",
    use_handler_docstrings=True,
    path="/openapi",
    render_plugins=[],
)

#: Where the structs are. A subject's own `BODIES` say what its calls take: as below.
SUBJECTS: Sequence[ModuleType] = (schemas, analytics_schemas, kubernetes_schemas, schedules_schemas, traces_schemas)

_REF = "#/components/schemas/{name}"
_ONE_TASK = {"name": "first steps", "type": "noop", "parameters": {}}
_Bodies = Mapping[str, tuple[type, bool, Any]]
#: By operation: what its body is, whether it must be there, an example.
_BODIES: _Bodies = {
    "submit_task": (schemas.TaskSubmission, True, _ONE_TASK),
    "submit_batch": (schemas.BatchSubmission, True, {"tasks": [_ONE_TASK], "atomic": True}),
    "cancel_task": (schemas.ActionReason, False, {"reason": "not needed any more"}),
    "pause_task": (schemas.ActionReason, False, {"reason": "not before noon"}),
    "pause_queue": (schemas.ActionReason, False, {"reason": "the mail server is being moved"}),
    "set_setting": (schemas.SettingChange, True, {"value": 15}),
}
_REQUEST_ID = {"X-Request-Id": "The request's own, or one that was made for it."}
_RETRY_AFTER = {"Retry-After": "Seconds."}
#: By operation that answers with 201: what it has made.
_MADE = {"submit_task": "task", "create_schedule": "schedule", "run_schedule": "task"}


@get("/", include_in_schema=False)
async def index() -> dict[str, str]:
    """Where to go from here."""
    return {"name": "taskcore", "openapi": "/openapi.json"}


@get("/openapi.json", include_in_schema=False)
async def document(request: Request[Any, Any, Any]) -> dict[str, Any]:
    return _document(request.app)


@cache
def _document(app: Litestar) -> dict[str, Any]:
    whole: dict[str, Any] = app.openapi_schema.to_schema()
    bodies = _bodies()
    for path in whole["paths"].values():
        for operation in path.values():
            _complete(operation, bodies)
    whole["components"]["schemas"] = _schemas(whole["components"]["schemas"].keys())
    return whole


def _bodies() -> _Bodies:
    found = dict(_BODIES)
    for subject in SUBJECTS:
        found |= getattr(subject, "BODIES", {})
    return found


def _complete(operation: dict[str, Any], bodies: _Bodies) -> None:
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _never_null(parameter["schema"])
    if (body := bodies.get(operation["operationId"])) is not None:
        struct, is_required, example = body
        content = {"schema": {"$ref": _REF.format(name=struct.__name__)}, "example": example}
        operation["requestBody"] = {"required": is_required, "content": {"application/json": content}}
    for status, response in operation["responses"].items():
        response["headers"] = _headers(operation["operationId"], status)


def _headers(operation_id: str, status: str) -> dict[str, Any]:
    headers = dict(_REQUEST_ID)
    if status == "503":
        headers |= _RETRY_AFTER
    if status == "201" and operation_id in _MADE:
        headers["Location"] = f"Where the {_MADE[operation_id]} is."
    text = {"required": True, "schema": {"type": "string"}}
    return {name: {"description": description, **text} for name, description in headers.items()}


def _never_null(schema: dict[str, Any]) -> dict[str, Any]:
    """`oneOf` a type and null as that type."""
    alternatives: list[dict[str, Any]] = [one for one in schema.get("oneOf", ()) if one != {"type": "null"}]
    if len(alternatives) != 1:
        return schema
    return {key: value for key, value in schema.items() if key != "oneOf"} | alternatives[0]


def _schemas(names: Set[str]) -> dict[str, Any]:
    _, components = msgspec.json.schema_components(list(_structs()), ref_template=_REF)
    if missing := names - components.keys():
        raise LookupError(f"the handlers answer with what no subject's schemas have: {sorted(missing)}")
    return components


def _structs() -> Iterator[type[msgspec.Struct]]:
    for subject in SUBJECTS:
        for name, struct in vars(subject).items():
            if isinstance(struct, type) and issubclass(struct, msgspec.Struct) and not name.startswith("_"):
                yield struct
