"""Workers, the types they bring, queues, and the settings that hold for all processes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Identity, Index, Integer, SmallInteger, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from taskcore.db.models.base import Model, now


class TaskType(Model):
    """A type that some worker has registered. Kept forever, so that submitting a known type never becomes an error."""

    __tablename__ = "task_type"

    name: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str]
    queue: Mapped[str]
    schema: Mapped[dict[str, Any]]
    max_attempts: Mapped[int] = mapped_column(SmallInteger)
    retry: Mapped[dict[str, Any]]
    timeout_s: Mapped[float | None]
    isolation: Mapped[str] = mapped_column(server_default=text("'thread'"))
    can_cancel: Mapped[bool] = mapped_column(server_default=text("true"))  # while it runs
    can_pause: Mapped[bool] = mapped_column(server_default=text("false"))  # while it runs
    seen_at: Mapped[datetime] = now()


class Worker(Model):
    """A supervisor and its lease: once it has been silent for longer than `lease_s`, its tasks go back to the queue.

    They go back sooner when both liveness signals are lost: nobody holds the advisory lock `lock_id` (a new one for
    each of its connections; NULL: it has no liveness signals), and its exclusive queue in the broker is gone.
    """

    __tablename__ = "worker"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    host: Mapped[str]
    pid: Mapped[int] = mapped_column(Integer)
    slots: Mapped[int] = mapped_column(Integer)
    queues: Mapped[list[str]]  # empty: all
    types: Mapped[list[str]]
    lease_s: Mapped[float]
    lock_id: Mapped[int | None] = mapped_column(Integer)
    started_at: Mapped[datetime] = now()
    seen_at: Mapped[datetime] = now()


class Queue(Model):
    """Created by the first task that names it, or when it is paused. No task of a paused queue is claimed.

    `deleted_at` marks it as about to be deleted: see `taskcore.db.queues.lifecycle`.
    """

    __tablename__ = "queue"

    name: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = now()
    used_at: Mapped[datetime] = now()  # a task of it was sent, up to a minute late; or it was found to be needed
    deleted_at: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    pause_reason: Mapped[str | None]
    paused_by: Mapped[str | None]

    __table_args__ = (
        Index("queue_paused", "name", postgresql_where=text("paused_at IS NOT NULL")),
        # `QUEUE_NAME_PATTERN`, in PostgreSQL's terms.
        CheckConstraint(
            r"name ~ '^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,254}$' AND name !~ '^(amq|worker)\.'", name="queue_name_check"
        ),
    )


class Setting(Model):
    """An override of a live setting, by the setting's name in lower case: `retention.succeeded_s`."""

    __tablename__ = "setting"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(JSONB())
    changed_by: Mapped[str]
    changed_at: Mapped[datetime] = now()
