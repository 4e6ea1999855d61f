"""What a refusal says."""

from __future__ import annotations

import msgspec

from taskcore.domain.states import Status


class FieldError(msgspec.Struct, frozen=True):
    """One thing wrong with a request. `field` is a path such as `tasks[3].parameters.to`."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error (RFC 9457, `application/problem+json`). `code` is stable; `errors` names each field at fault.

    `task_id` is the task that stands in the way, where one does.
    """

    title: str
    status: int
    code: str
    type: str = "about:blank"
    detail: str | None = None
    request_id: str | None = None
    errors: list[FieldError] = []
    task_status: Status | None = None
    task_id: int | None = None
