"""Tasks: what was submitted, its current state, and every step on the way."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Identity, Index, Integer, SmallInteger, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from taskcore.db.models.base import Model, now, one_of
from taskcore.domain.dependencies import DependentsState
from taskcore.domain.states import HELD, IDLE, TERMINAL, Status

_HAS_ENDED = one_of("status", TERMINAL)
#: What `dependency_resolution.pending_parents` looks for.
_UNRESOLVED = (
    f"dependents_state = '{DependentsState.REBLOCK}' OR dependents_state = '{DependentsState.PENDING}' AND {_HAS_ENDED}"
)


class Task(Model):
    """What was submitted, and its state.

    `attempt` is a fencing number: it only grows, and no run's number is used twice.
    """

    __tablename__ = "task"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str]
    type: Mapped[str]
    queue: Mapped[str]
    parameters: Mapped[dict[str, Any]]
    description: Mapped[str | None]
    priority: Mapped[int] = mapped_column(SmallInteger)
    labels: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    run_at: Mapped[datetime | None]
    max_attempts: Mapped[int] = mapped_column(SmallInteger)
    idempotency_key: Mapped[str | None]
    fingerprint: Mapped[str | None]  # of the body that came with the idempotency key
    request_id: Mapped[str | None]
    trace_context: Mapped[str | None]  # the traceparent of the submission, if it is sampled
    timeout_s: Mapped[float | None]  # of each attempt
    delete_after_s: Mapped[float | None]
    created_at: Mapped[datetime] = now()

    status: Mapped[str]
    attempt: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    failures: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))  # against max_attempts
    crashes: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))  # attempts that killed their process
    #: Attempts that died with their worker.
    worker_losses: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    isolated: Mapped[bool] = mapped_column(server_default=text("false"))  # the next attempt gets a process of its own
    pause_requested: Mapped[bool] = mapped_column(server_default=text("false"))  # for the running attempt
    pause_reason: Mapped[str | None]  # of the pause, or of the request for it
    paused_by: Mapped[str | None]
    lease_token: Mapped[UUID | None]  # set if and only if a worker holds the task
    worker_id: Mapped[int | None]
    executor: Mapped[int | None] = mapped_column(Integer)  # the worker's process that runs it, by its incarnation
    result: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    error: Mapped[str | None]
    reason: Mapped[str | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    delete_at: Mapped[datetime | None]
    progress: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))  # the last one reported
    checkpoint: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))  # for the next attempt
    #: A `DependentsState`; NULL while nothing depends on the task.
    dependents_state: Mapped[str | None]

    __table_args__ = (
        CheckConstraint(one_of("status", Status), name="status"),
        CheckConstraint(one_of("dependents_state", DependentsState), name="dependents_state"),
        # Partial indexes: a finished task costs the hot paths nothing.
        Index("task_idle", "status", "id", postgresql_where=text(one_of("status", IDLE))),
        Index("task_held", "worker_id", "id", postgresql_where=text(one_of("status", HELD))),
        Index(
            "task_unsuccessful",
            "status",
            "id",
            postgresql_where=text(one_of("status", {Status.FAILED, Status.CANCELLED})),
        ),
        Index(
            "task_dependents_pending",
            "id",
            postgresql_where=text(_UNRESOLVED),
        ),
        Index("task_delete_at", "delete_at", postgresql_where=text("delete_at IS NOT NULL")),
        Index("task_by_type", "type", "id"),
        Index("task_traced", "id", postgresql_where=text("trace_context IS NOT NULL")),
        Index("task_labels", "labels", postgresql_using="gin", postgresql_where=text("labels <> '{}'")),
        Index(
            "task_idempotency_key",
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
    )


class TaskHistory(Model):
    """Append-only: a row per transition, written in the same statement as the change. Outlives its task."""

    __tablename__ = "task_history"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    task_id: Mapped[int] = mapped_column(index=True)  # no foreign key: deletions are history too
    attempt: Mapped[int] = mapped_column(Integer)
    from_status: Mapped[str | None]
    to_status: Mapped[str | None]  # NULL: deleted
    actor: Mapped[str]
    details: Mapped[dict[str, Any] | None]
    at: Mapped[datetime] = now()


class TaskAttempt(Model):
    """Append-only: a row per finished attempt. The running one is described by `task` itself."""

    __tablename__ = "task_attempt"

    task_id: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True)
    worker_id: Mapped[int | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    outcome: Mapped[str]
    error: Mapped[str | None]
    trace_id: Mapped[str | None]  # of the attempt's trace, and of its span, if it is sampled
    span_id: Mapped[str | None]


class TaskDependency(Model):
    """`task_id` runs only after `depends_on` has succeeded. A succeeded task may be deleted; its row here stays."""

    __tablename__ = "task_dependency"

    task_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    depends_on: Mapped[int] = mapped_column(primary_key=True)

    __table_args__ = (Index("task_dependency_of", "depends_on", "task_id"),)


class TaskLog(Model):
    """A line of an attempt's log, numbered from 1. The worker limits their number."""

    __tablename__ = "task_log"

    task_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True)
    line: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime]
    level: Mapped[str]
    message: Mapped[str]
    fields: Mapped[dict[str, Any] | None]


class Outbox(Model):
    """A row from the moment a task may run until it is claimed: short-lived and narrow; the claim deletes it.

    `is_due` separates the rows that the relay may dispatch now from delays and retries, so that a million of those are
    not in the way. `is_parked` does the same with due rows whose type no live worker of the queue knows: the relay
    parks them, and brings them back once such a worker is there.
    """

    __tablename__ = "outbox"

    task_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    queue: Mapped[str]
    type: Mapped[str]
    priority: Mapped[int] = mapped_column(SmallInteger)
    is_due: Mapped[bool]
    is_parked: Mapped[bool] = mapped_column(server_default=text("false"))
    available_at: Mapped[datetime]
    dispatched_at: Mapped[datetime | None]
    redeliveries: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))

    __table_args__ = (
        Index(
            "outbox_undispatched",
            "queue",
            text("priority DESC"),
            "task_id",
            postgresql_where=text("is_due AND dispatched_at IS NULL AND NOT is_parked"),
        ),
        Index("outbox_parked", "queue", "type", "task_id", postgresql_where=text("is_parked")),
        Index("outbox_dispatched", "queue", "dispatched_at", postgresql_where=text("dispatched_at IS NOT NULL")),
        Index("outbox_delayed", "available_at", postgresql_where=text("NOT is_due")),
        {
            # Every row is written three times and deleted: vacuum early and by count, not by share.
            "postgresql_with": {
                "fillfactor": "70",
                "autovacuum_vacuum_scale_factor": "0.02",
                "autovacuum_vacuum_threshold": "2000",
                "autovacuum_vacuum_cost_delay": "0",
            }
        },
    )
