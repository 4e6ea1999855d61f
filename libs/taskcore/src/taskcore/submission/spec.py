"""The description of a task, as clients, plugins and schedules give it, and how it becomes a task to store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta

from taskcore.domain import tasks as limits
from taskcore.domain.dependencies import MAX_DEPENDENCIES
from taskcore.domain.documents import MAX_INTEGER, check_document
from taskcore.domain.tasks import NewTask
from taskcore.errors import InvalidDocument

Name = Annotated[str, Meta(min_length=1, max_length=limits.MAX_NAME)]
Identifier = Annotated[str, Meta(min_length=1, max_length=limits.MAX_NAME, pattern=limits.NAME_PATTERN)]
QueueName = Annotated[str, Meta(min_length=1, max_length=limits.MAX_NAME, pattern=limits.QUEUE_NAME_PATTERN)]
DependencyId = Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
LabelKey = Annotated[str, Meta(min_length=1, max_length=63)]
LabelValue = Annotated[str, Meta(max_length=255)]

MIN_RUN_AT = datetime(1970, 1, 1, tzinfo=UTC)
MAX_RUN_AT = datetime(9999, 12, 31, tzinfo=UTC)

_CANONICAL = msgspec.json.Encoder(order="sorted")


class TaskSpec(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """The description of a task from any source."""

    name: Name
    type: Identifier
    parameters: dict[str, Any] = {}
    queue: QueueName | None = None
    priority: Annotated[int, Meta(ge=limits.MIN_PRIORITY, le=limits.MAX_PRIORITY)] = 0
    run_at: Annotated[datetime, Meta(tz=True)] | None = None
    max_attempts: Annotated[int, Meta(ge=1, le=100)] | None = None
    timeout: Annotated[float, Meta(gt=0, le=limits.MAX_TIMEOUT_S)] | None = None
    delete_after: Annotated[float, Meta(ge=0, le=limits.MAX_DELETE_AFTER_S)] | None = None
    labels: Annotated[dict[LabelKey, LabelValue], Meta(max_length=limits.MAX_LABELS)] = {}
    description: Annotated[str, Meta(max_length=limits.MAX_DESCRIPTION)] | None = None


class TaskSubmission(TaskSpec, frozen=True):
    """A task to run. Its type provides what is left out.

    `timeout` limits each attempt and `delete_after` counts from the end of the task, both in seconds. The task waits
    until all tasks whose ids are in `depends_on` have succeeded.
    """

    depends_on: Annotated[list[DependencyId], Meta(max_length=MAX_DEPENDENCIES)] = []


class TypeDefaults(Protocol):
    """What a type provides for tasks that leave it out."""

    @property
    def queue(self) -> str: ...

    @property
    def max_attempts(self) -> int: ...

    @property
    def timeout_s(self) -> float | None: ...


def new_task(spec: TaskSpec, defaults: TypeDefaults, request_id: str | None, idempotency_key: str | None) -> NewTask:
    """Return the task to store."""
    return NewTask(
        name=spec.name,
        type=spec.type,
        queue=spec.queue or defaults.queue,
        parameters=spec.parameters,
        max_attempts=spec.max_attempts or defaults.max_attempts,
        timeout_s=spec.timeout or defaults.timeout_s,
        delete_after_s=spec.delete_after,
        priority=spec.priority,
        description=spec.description,
        labels=spec.labels,
        run_at=spec.run_at and spec.run_at.astimezone(UTC),  # PostgreSQL accepts UTC offsets below 16 hours only
        idempotency_key=idempotency_key,
        fingerprint=None if idempotency_key is None else _fingerprint(spec),
        request_id=request_id,
    )


def storage_errors(spec: TaskSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield what JSON allows and PostgreSQL cannot store: path and message, at most one per field."""
    try:
        check_document(spec.parameters, ("parameters",))
    except InvalidDocument as exc:
        yield exc.path, exc.message
    for name, text in (("name", spec.name), ("description", spec.description or "")):
        if "\0" in text:
            yield (name,), "contains a NUL character"
    for key, value in spec.labels.items():
        if "\0" in key or "\0" in value:
            yield ("labels", key), "contains a NUL character"
    if spec.run_at is not None and not MIN_RUN_AT <= spec.run_at <= MAX_RUN_AT:
        yield ("run_at",), "must be between the years 1970 and 9999"


def _fingerprint(spec: TaskSpec) -> str:
    """Return a hash that ignores the order of members, white space, and defaults that are spelled out.

    Members that a later version adds do not change it, as long as a task leaves them out.
    """
    return hashlib.sha256(_CANONICAL.encode(spec)).hexdigest()
