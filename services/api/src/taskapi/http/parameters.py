"""What the handlers share of the API's contract: parameters, and the problems that a call may answer with."""

from __future__ import annotations

from typing import Annotated

from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, PathParameter

from taskapi.schemas import Problem
from taskcore.domain import tasks as limits
from taskcore.domain.documents import MAX_INTEGER

PROBLEM_MEDIA_TYPE = "application/problem+json"

MAX_USER = 255

#: How clients know the parameters to which handlers give other names.
PUBLIC_NAMES = {
    "idempotency_key": "Idempotency-Key",
    "timeout_s": "timeout",
    "queue_name": "name",
    "user": "X-Taskcore-User",
    "from_": "from",
}

TaskId = Annotated[
    int, PathParameter(ge=1, le=MAX_INTEGER, schema_extra={"maximum": MAX_INTEGER}, description="A task's id.")
]
QueueName = Annotated[
    str,
    PathParameter(
        min_length=1,
        max_length=limits.MAX_NAME,
        pattern=limits.NAME_PATTERN,
        schema_extra={"pattern": limits.NAME_PATTERN},
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
        description="The same key with the same body is the same task; it is stored once.",
    ),
]
User = Annotated[
    str | None,
    HeaderParameter(
        name="X-Taskcore-User",
        min_length=1,
        max_length=MAX_USER,
        pattern=r"^[!-~]([ -~]*[!-~])?$",
        description="Who asks, as the history is to have it: nobody checks whether it is so.",
    ),
]

_DESCRIPTIONS = {
    400: "Not JSON, or not HTTP.",
    404: "There is no such thing.",
    409: "Not possible as things stand.",
    413: "Too large.",
    415: "The body is not said to be JSON.",
    422: "Understood, and not valid: `errors` names each field.",
    503: "The database is away: try again after `Retry-After` seconds.",
}


def actor(user: str | None) -> str:
    """How the history is signed: by who the caller says to be, or by the API."""
    return "api" if user is None else f"user:{user}"


def problem_responses(*statuses: int) -> dict[int, ResponseSpec]:
    """The problems of a call: the given ones, and those that any call may meet."""
    return {
        status: ResponseSpec(
            Problem, media_type=PROBLEM_MEDIA_TYPE, description=_DESCRIPTIONS[status], generate_examples=False
        )
        for status in sorted({*statuses, 400, 422, 503})
    }
