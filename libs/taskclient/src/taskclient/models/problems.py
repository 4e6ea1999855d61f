"""What a refusal says."""

from __future__ import annotations

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """One thing wrong with a request. `field` is a path such as `tasks[3].parameters.to`."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why the server refused (RFC 9457). `code` is stable; `errors` names each field at fault."""

    title: str
    status: int
    code: str
    detail: str | None = None
    request_id: str | None = None
    errors: list[FieldError] = []
    task_status: str | None = None
    task_id: int | None = None
