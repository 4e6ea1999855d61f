"""Settling: how an attempt ends. Every statement is fenced by (task, attempt, token)."""

from __future__ import annotations

from functools import cache

from sqlalchemy import (
    BigInteger,
    Executable,
    Float,
    Integer,
    Text,
    Uuid,
    and_,
    case,
    cast,
    func,
    insert,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from taskcore.db.models import Outbox, Task, TaskAttempt, TaskHistory
from taskcore.db.parameters import flag, interval, number, still_at, word, worker_actor
from taskcore.db.recordset import recordset
from taskcore.domain.outcomes import AttemptOutcome
from taskcore.domain.states import Status


@cache
def settle() -> Executable:
    """Write the ends of attempts, with their history, attempt and, for those to be tried again, outbox rows.

    Parameters: worker, and rows: a JSON array of {task_id, attempt, token, status, outcome, result, error, reason,
    wait_s, waited_s, ran_s}. Answers the task ids that were settled; a task that is not among them is no longer held
    under that lease, and nothing of it was written.
    """
    given = recordset(
        "given",
        task_id=BigInteger,
        attempt=Integer,
        token=Uuid,
        status=Text,
        outcome=Text,
        result=JSONB,
        error=Text,
        reason=Text,
        wait_s=Float,
        waited_s=Float,
        ran_s=Float,
    )
    started_at = Task.started_at + interval(given.c.waited_s)
    held = (
        select(given, started_at.label("started_at"), (started_at + interval(given.c.ran_s)).label("finished_at"))
        .join_from(given, Task, and_(Task.id == given.c.task_id, Task.attempt == given.c.attempt))
        .where(Task.lease_token == given.c.token, still_at(Task.status, {Status.RUNNING}))
        .order_by(Task.id)
        .with_for_update(of=Task)
        .cte("held")
    )
    retrying, failed = word(Status.RETRYING), word(AttemptOutcome.FAILED)
    settled = (
        update(Task)
        .where(Task.id == held.c.task_id, Task.attempt == held.c.attempt, Task.lease_token == held.c.token)
        .values(
            status=held.c.status,
            failures=Task.failures + cast(held.c.outcome == failed, Integer),
            lease_token=null(),
            executor=null(),
            result=held.c.result,
            error=held.c.error,
            reason=held.c.reason,
            started_at=held.c.started_at,
            finished_at=case((held.c.status == retrying, null()), else_=held.c.finished_at),
        )
        .returning(Task.id, Task.queue, Task.priority, held)
        .cte("settled")
    )
    details = case(
        (
            settled.c.status == retrying,
            func.jsonb_build_object(word("error"), settled.c.error, word("retry_in_s"), settled.c.wait_s),
        ),
        (
            settled.c.error.is_not(None),
            func.jsonb_build_object(word("error"), settled.c.error, word("reason"), settled.c.reason),
        ),
    )
    history = (
        insert(TaskHistory)
        .from_select(
            ["task_id", "attempt", "from_status", "to_status", "actor", "details"],
            select(
                settled.c.id,
                settled.c.attempt,
                word(Status.RUNNING),
                settled.c.status,
                worker_actor(),
                details,
            ),
        )
        .cte("history")
    )
    attempts = (
        insert(TaskAttempt)
        .from_select(
            ["task_id", "attempt", "worker_id", "started_at", "finished_at", "outcome", "error"],
            select(
                settled.c.id,
                settled.c.attempt,
                number("worker"),
                settled.c.started_at,
                settled.c.finished_at,
                settled.c.outcome,
                settled.c.error,
            ),
        )
        .cte("attempts")
    )
    outbox = (
        insert(Outbox)
        .from_select(
            ["task_id", "queue", "priority", "is_due", "available_at"],
            select(
                settled.c.id,
                settled.c.queue,
                settled.c.priority,
                flag(False),
                func.now() + interval(settled.c.wait_s),
            ).where(settled.c.status == retrying),
        )
        .cte("outbox_rows")
    )
    return select(settled.c.id).add_cte(history, attempts, outbox)
