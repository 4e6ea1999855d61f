"""What may be asked of Taskcore: a task as clients and plugins describe it, checked, and made into one to store."""

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
KnownId = Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
LabelKey = Annotated[str, Meta(min_length=1, max_length=63)]
LabelValue = Annotated[str, Meta(max_length=255)]

EARLIEST_RUN_AT = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_RUN_AT = datetime(9999, 12, 31, tzinfo=UTC)

_CANONICAL = msgspec.json.Encoder(order="sorted")


class Asked(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """What a task may say of itself, wherever it comes from."""

    name: Name
    type: Identifier
    parameters: dict[str, Any] = {}
    queue: Identifier | None = None
    priority: Annotated[int, Meta(ge=limits.MIN_PRIORITY, le=limits.MAX_PRIORITY)] = 0
    run_at: Annotated[datetime, Meta(tz=True)] | None = None
    max_attempts: Annotated[int, Meta(ge=1, le=100)] | None = None
    timeout: Annotated[float, Meta(gt=0, le=limits.MAX_TIMEOUT_S)] | None = None
    delete_after: Annotated[float, Meta(ge=0, le=limits.MAX_DELETE_AFTER_S)] | None = None
    labels: Annotated[dict[LabelKey, LabelValue], Meta(max_length=limits.MAX_LABELS)] = {}
    description: Annotated[str, Meta(max_length=limits.MAX_DESCRIPTION)] | None = None


class TaskSubmission(Asked, frozen=True):
    """A task to run. What is left out comes from its type.

    In seconds: `timeout` bounds each attempt, `delete_after` counts from the task's end. It waits until the tasks whose
    ids are in `depends_on` have succeeded.
    """

    depends_on: Annotated[list[KnownId], Meta(max_length=MAX_DEPENDENCIES)] = []


class TypeDefaults(Protocol):
    """What its type says for a task that leaves it out."""

    @property
    def queue(self) -> str: ...

    @property
    def max_attempts(self) -> int: ...

    @property
    def timeout_s(self) -> float | None: ...


def new_task(asked: Asked, known: TypeDefaults, request_id: str | None, idempotency_key: str | None) -> NewTask:
    """The task to store."""
    return NewTask(
        name=asked.name,
        type=asked.type,
        queue=asked.queue or known.queue,
        parameters=asked.parameters,
        max_attempts=asked.max_attempts or known.max_attempts,
        timeout_s=asked.timeout or known.timeout_s,
        delete_after_s=asked.delete_after,
        priority=asked.priority,
        description=asked.description,
        labels=asked.labels,
        run_at=asked.run_at and asked.run_at.astimezone(UTC),  # PostgreSQL knows no zone beyond 15:59
        idempotency_key=idempotency_key,
        fingerprint=None if idempotency_key is None else _fingerprint(asked),
        request_id=request_id,
    )


def storage_faults(asked: Asked) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What JSON can say and PostgreSQL cannot keep: the path of each, and why; at most one a field."""
    try:
        check_document(asked.parameters, ("parameters",))
    except InvalidDocument as exc:
        yield exc.path, exc.message
    for name, text in (("name", asked.name), ("description", asked.description or "")):
        if "\0" in text:
            yield (name,), "contains a NUL character"
    for name, text in (("type", asked.type), ("queue", asked.queue or "")):
        if text.endswith("\n"):  # which Python's `$` lets pass
            yield (name,), "ends in a line break"
    if (asked.queue or "").startswith(limits.RESERVED_QUEUES):
        yield ("queue",), "begins with what the broker or the workers keep for themselves: amq. or worker."
    for key, value in asked.labels.items():
        if "\0" in key or "\0" in value:
            yield ("labels", key), "contains a NUL character"
    if asked.run_at is not None and not EARLIEST_RUN_AT <= asked.run_at <= LATEST_RUN_AT:
        yield ("run_at",), "must lie between the years 1970 and 9999"


def _fingerprint(asked: Asked) -> str:
    """Of what it asks for: the order of members, white space and defaults that are spelled out do not count.

    Nor do members that a later version adds, as long as they are left out.
    """
    return hashlib.sha256(_CANONICAL.encode(asked)).hexdigest()
