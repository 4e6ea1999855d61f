"""Delete tasks whose retention time has ended, in small batches: by their own `delete_at`, or by the age of their end.

A task is kept while it is unfinished, or while its end is still to be resolved for its dependents. Any number of
coordinators may do this at once: rows that another has locked are skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

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
from taskcore.domain.states import TERMINAL, Status
from taskcore.domain.tasks import COORDINATOR

BATCH = 500

_ACTOR = const_text(COORDINATOR)


class RetentionRule(NamedTuple):
    """How long tasks of `type` with this final status are kept after their end.

    `type` is None for all types that have no rule of their own; `max_age_s` is None for no limit.
    """

    type: str | None
    status: Status
    max_age_s: float | None


@cache
def delete_due() -> Executable:
    """Delete up to `BATCH` tasks whose `delete_at` has passed. Returns their ids."""
    due = _finished().where(Task.delete_at <= func.now()).order_by(Task.delete_at).limit(BATCH)
    return delete_tasks(due.with_for_update(of=Task, skip_locked=True).cte("was"), _ACTOR, _reason("delete_after"))


@cache
def find_expired() -> Executable:
    """Examine the next `BATCH` tasks after `after_id`.

    Returns one row: last_id, is_young (whether that task is), and ids, the expired ones. Parameters: after_id,
    shortest_s (the shortest retention time of all), and rows, by `rule_rows`.
    """
    batch = (
        select(Task.id, Task.type, Task.status, Task.finished_at, Task.created_at)
        .where(Task.id > bigint_param("after_id"))
        .order_by(Task.id)
        .limit(BATCH)
        .cte("batch")
    )
    rules = recordset("rules", type=Text, status=Text, max_age_s=Float)
    max_age_s = (
        select(rules.c.max_age_s)
        .where(rules.c.status == batch.c.status, or_(rules.c.type == batch.c.type, rules.c.type.is_(None)))
        .order_by(rules.c.type.nulls_last())
        .limit(1)
        .correlate(batch)
        .scalar_subquery()
    )
    is_old = batch.c.finished_at + interval(max_age_s) < func.now()
    return select(
        func.max(batch.c.id).label("last_id"),
        (func.max(batch.c.created_at) >= func.now() - seconds_param("shortest_s")).label("is_young"),
        func.array_agg(batch.c.id).filter(is_old).label("ids"),
    )


@cache
def delete_expired() -> Executable:
    """Delete those of `ids` that finished at least `shortest_s` seconds ago. Returns their ids."""
    old = _finished().where(
        Task.id == func.any(bigints_param()), Task.finished_at < func.now() - seconds_param("shortest_s")
    )
    was = old.order_by(Task.id).with_for_update(of=Task, skip_locked=True).cte("was")
    return delete_tasks(was, _ACTOR, _reason("retention"))


def rule_rows(rules: Sequence[RetentionRule]) -> str:
    """Return the parameter `rows` of `find_expired`."""
    return msgspec.json.encode([rule._asdict() for rule in rules]).decode()


def _finished() -> Select[int, str]:
    return select(Task.id, Task.status).where(status_in_unindexed(Task.status, TERMINAL), ~has_pending_dependents())


def _reason(reason: str) -> Any:
    return func.jsonb_build_object(const_text("reason"), const_text(reason))
