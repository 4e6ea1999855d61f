"""Deleting tasks whose time is up, a small batch at a time: by their own `delete_at`, or by how old their end is.

Never one that is not over, nor one whose end is still to be passed on to those that depend on it. Any number of
coordinators may do it at once: what another has locked is skipped.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Executable, Float, Select, Text, func, or_, select

from taskcore.db.models import Task
from taskcore.db.sql import (
    bigint_param,
    bigints_param,
    const_text,
    interval,
    recordset,
    seconds_param,
    status_in_unindexed,
)
from taskcore.db.tasks.dependencies import has_pending_dependents
from taskcore.db.tasks.transitions import delete_tasks
from taskcore.domain.states import TERMINAL

BATCH = 500

_ACTOR = const_text("coordinator")


@cache
def delete_due() -> Executable:
    """Delete up to `BATCH` tasks whose `delete_at` has come. Answers their ids."""
    due = _finished().where(Task.delete_at <= func.now()).order_by(Task.delete_at).limit(BATCH)
    return delete_tasks(due.with_for_update(of=Task, skip_locked=True).cte("was"), _ACTOR, _reason("delete_after"))


@cache
def find_expired() -> Executable:
    """Look at the next `BATCH` tasks behind `after_id`. One row: last_id, is_young (that one), and the old ones' ids.

    Parameters: after_id, shortest_s (the shortest age of all), and rows: a JSON array of {kind, standing, age_s}, how
    old the end of a task of the type `kind` that stands at `standing` may be (null: any age). Those of a null `kind`
    are for types that have none of their own.
    """
    batch = (
        select(Task.id, Task.type, Task.status, Task.finished_at, Task.created_at)
        .where(Task.id > bigint_param("after_id"))
        .order_by(Task.id)
        .limit(BATCH)
        .cte("batch")
    )
    policy = recordset("policy", kind=Text, standing=Text, age_s=Float)
    age_s = (
        select(policy.c.age_s)
        .where(policy.c.standing == batch.c.status, or_(policy.c.kind == batch.c.type, policy.c.kind.is_(None)))
        .order_by(policy.c.kind.nulls_last())
        .limit(1)
        .correlate(batch)
        .scalar_subquery()
    )
    is_old = batch.c.finished_at + interval(age_s) < func.now()
    return select(
        func.max(batch.c.id).label("last_id"),
        (func.max(batch.c.created_at) >= func.now() - seconds_param("shortest_s")).label("is_young"),
        func.array_agg(batch.c.id).filter(is_old).label("ids"),
    )


@cache
def delete_expired() -> Executable:
    """Delete those of `ids` that ended at least `shortest_s` seconds ago. Answers their ids."""
    old = _finished().where(
        Task.id == func.any(bigints_param()), Task.finished_at < func.now() - seconds_param("shortest_s")
    )
    was = old.order_by(Task.id).with_for_update(of=Task, skip_locked=True).cte("was")
    return delete_tasks(was, _ACTOR, _reason("retention"))


def policy_rows(policy: list[dict[str, Any]]) -> str:
    """The parameter `rows` of `find_old`."""
    return msgspec.json.encode(policy).decode()


def _finished() -> Select[int, str]:
    return select(Task.id, Task.status).where(status_in_unindexed(Task.status, TERMINAL), ~has_pending_dependents())


def _reason(reason: str) -> Any:
    return func.jsonb_build_object(const_text("reason"), const_text(reason))
