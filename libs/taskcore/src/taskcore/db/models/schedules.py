"""Schedules: what is submitted when, and what happened to each time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from taskcore.db.models.base import Model, now, one_of
from taskcore.domain.schedules import CatchUp, Overlap


class Schedule(Model):
    """A task that is submitted at certain times.

    The transaction that advances `next_at`, with the row locked, fires it.
    """

    __tablename__ = "schedule"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None]
    cron: Mapped[str | None]  # as submitted; or
    every_s: Mapped[float | None]  # counted from `anchor_at`
    anchor_at: Mapped[datetime]
    timezone: Mapped[str]
    jitter_s: Mapped[float]
    overlap: Mapped[str]
    catch_up: Mapped[str]
    catch_up_limit: Mapped[int] = mapped_column(Integer)
    run_at_start: Mapped[bool]
    task: Mapped[dict[str, Any]]  # as for POST /tasks
    managed_by: Mapped[str | None]  # the service that manages it, and from whose settings its times come
    next_at: Mapped[datetime | None]  # the earliest time that has not been processed; NULL: there is none any more
    last_at: Mapped[datetime | None]  # the last time that has a fire
    missed: Mapped[int] = mapped_column(server_default=text("0"))  # times that were dropped
    paused_at: Mapped[datetime | None]
    pause_reason: Mapped[str | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = now()
    changed_at: Mapped[datetime] = now()

    __table_args__ = (
        CheckConstraint("(cron IS NULL) <> (every_s IS NULL)", name="times"),
        CheckConstraint(one_of("overlap", Overlap), name="overlap"),
        CheckConstraint(one_of("catch_up", CatchUp), name="catch_up"),
        Index("schedule_due", "next_at", postgresql_where=text("paused_at IS NULL AND next_at IS NOT NULL")),
    )


class ScheduleFire(Model):
    """A time of a schedule that has been processed. The key guarantees at most one task per time."""

    __tablename__ = "schedule_fire"

    schedule_id: Mapped[int] = mapped_column(
        ForeignKey("schedule.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    due_at: Mapped[datetime] = mapped_column(primary_key=True)
    task_id: Mapped[int | None]  # NULL: it waits or was skipped, because the previous task was unfinished
    waits: Mapped[bool] = mapped_column(server_default=text("false"))  # until the previous task finishes
    at: Mapped[datetime] = now()

    __table_args__ = (
        Index("schedule_fire_task", "schedule_id", "due_at", postgresql_where=text("task_id IS NOT NULL")),
        Index("schedule_fire_waiting", "schedule_id", "due_at", postgresql_where=text("waits")),
    )
