"""Parameters and problem responses that several calls share."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, ParameterKwarg, PathParameter, QueryParameter

from taskapi.schemas.problems import Problem
from taskcore.domain import tasks as limits
from taskcore.domain.documents import MAX_INTEGER

PROBLEM_MEDIA_TYPE = "application/problem+json"

MAX_USER = 255

HttpRequest = Request[Any, Any, Any]

#: The public names of parameters that have another name in the handlers.
PUBLIC_NAMES = {
    "idempotency_key": "Idempotency-Key",
    "timeout_s": "timeout",
    "queue_name": "name",
    "user": "X-Taskcore-User",
    "from_": "from",
}


def id_in_path(description: str) -> ParameterKwarg:
    return PathParameter(ge=1, le=MAX_INTEGER, schema_extra={"maximum": MAX_INTEGER}, description=description)


TaskId = Annotated[int, id_in_path("A task's id.")]
Limit = Annotated[int, QueryParameter(ge=1, le=1_000)]
AfterId = Annotated[
    int,
    QueryParameter(
        ge=0,
        le=MAX_INTEGER,
        schema_extra={"minimum": 0, "maximum": MAX_INTEGER},
        description="`next_after` of the previous page.",
    ),
]
QueueName = Annotated[
    str,
    PathParameter(
        min_length=1,
        max_length=limits.MAX_NAME,
        pattern=limits.QUEUE_NAME_PATTERN,
        schema_extra={"pattern": limits.QUEUE_NAME_PATTERN},
        description="A queue's name.",
    ),
]
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[ -~]+$",
        description="Repeating a request with the same key and body returns the task that was stored first.",
    ),
]
User = Annotated[
    str | None,
    HeaderParameter(
        name="X-Taskcore-User",
        min_length=1,
        max_length=MAX_USER,
        pattern=r"^[!-~]([ -~]*[!-~])?$",
        description="The user to record in the history. The API does not verify it.",
    ),
]

_DESCRIPTIONS = {
    400: "The body is not JSON, or the request is not valid HTTP.",
    404: "Not found.",
    409: "Conflicts with the current state.",
    413: "The body is too large.",
    415: "Content-Type is not application/json.",
    422: "The request is not valid: `errors` names each field.",
    503: "The database is unavailable: try again after `Retry-After` seconds.",
}


def actor(user: str | None) -> str:
    """Return the actor to record in the history: the user that the request names, or the API."""
    return "api" if user is None else f"user:{user}"


def problem_responses(*statuses: int) -> dict[int, ResponseSpec]:
    """Return the problem responses of a call: `statuses`, and those that every call can have."""
    return {status: problem_response(_DESCRIPTIONS[status]) for status in sorted({*statuses, 400, 422, 503})}


def problem_response(description: str) -> ResponseSpec:
    return ResponseSpec(Problem, media_type=PROBLEM_MEDIA_TYPE, description=description, generate_examples=False)


def location(resource: str) -> ResponseHeader:
    """Return the documentation of the header `Location` of a call that creates a `resource`."""
    return ResponseHeader("Location", documentation_only=True, description=f"The URL of the {resource}.")
