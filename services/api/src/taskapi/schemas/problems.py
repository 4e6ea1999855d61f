"""Errors as clients see them."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from taskcore.domain.states import Status


class ProblemCode(StrEnum):
    """Every `code` that the API returns. Clients compare with them: they are stable, and listed in docs/http_api.md."""

    MALFORMED_JSON = "malformed_json"
    BAD_REQUEST = "bad_request"
    CLIENT_DISCONNECTED = "client_disconnected"
    NOT_FOUND = "not_found"
    TASK_NOT_FOUND = "task_not_found"
    QUEUE_NOT_FOUND = "queue_not_found"
    SETTING_NOT_FOUND = "setting_not_found"
    METRIC_NOT_FOUND = "metric_not_found"
    SCHEDULE_NOT_FOUND = "schedule_not_found"
    EVENT_NOT_FOUND = "event_not_found"
    ALERT_NOT_FOUND = "alert_not_found"
    TRACE_NOT_RECORDED = "trace_not_recorded"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    ACTION_NOT_AVAILABLE = "action_not_available"
    QUEUE_IN_USE = "queue_in_use"
    HAS_DEPENDENTS = "has_dependents"
    DEPENDENCY_FAILED = "dependency_failed"
    SETTING_NOT_LIVE = "setting_not_live"
    SCHEDULE_EXISTS = "schedule_exists"
    SCHEDULE_MANAGED = "schedule_managed"
    SCHEDULE_OVERLAP = "schedule_overlap"
    ALERT_RESOLVED = "alert_resolved"
    TRACE_VIEWER_NOT_CONFIGURED = "trace_viewer_not_configured"
    TOO_LARGE = "too_large"
    BODY_TIMEOUT = "body_timeout"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    INVALID = "invalid"
    INTERNAL_ERROR = "internal_error"
    DATABASE_UNAVAILABLE = "database_unavailable"
    CONCURRENT_UPDATE = "concurrent_update"
    TOO_MANY_WAITING = "too_many_waiting"
    TOO_MANY_LARGE_BODIES = "too_many_large_bodies"
    TRACE_VIEWER_UNAVAILABLE = "trace_viewer_unavailable"


class FieldError(msgspec.Struct, frozen=True):
    """One thing that is wrong with a request. `field` is a path such as `tasks[3].parameters.to`."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error (RFC 9457, `application/problem+json`). `code` is stable; `errors` names each invalid field.

    `task_status` is the status that does not allow the call, and `task_id` the task that prevents it.
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
