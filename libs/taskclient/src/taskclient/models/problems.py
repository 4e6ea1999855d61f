"""Problem details of an error response."""

from __future__ import annotations

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """An invalid field. `field` is a path such as `tasks[3].parameters.to`."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why the server refused a request (RFC 9457). `code` is stable; `errors` names each invalid field."""

    title: str
    status: int
    code: str
    detail: str | None = None
    request_id: str | None = None
    errors: list[FieldError] = []
    task_status: str | None = None
    task_id: int | None = None
