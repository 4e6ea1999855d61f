"""Returning: tasks whose worker cannot finish them go back to the queue.

A worker gives back what it holds when it stops; the supervisor returns what a dead executor held; the rescuer
returns what runs under a worker that is gone. The last two count a loss, and too many losses end the task.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Executable,
    Integer,
    Select,
    Uuid,
    and_,
    case,
    cast,
    delete,
    func,
    insert,
    null,
    select,
    update,
)

from taskcore.db.models import Outbox, Task, TaskAttempt, TaskHistory, Worker
from taskcore.db.parameters import flag, integer, interval, number, still_at, word, worker_actor
from taskcore.db.recordset import recordset
from taskcore.domain.outcomes import AttemptOutcome, Reason
from taskcore.domain.states import Status

MAX_LOSSES = 20
RESCUE_LIMIT = 1_000


@cache
def give_back() -> Executable:
    """A stopping worker's own tasks. Parameters: worker, and rows: a JSON array of {task_id, attempt, token}."""
    given = recordset("given", task_id=BigInteger, attempt=Integer, token=Uuid)
    which = _running().join(
        given, and_(given.c.task_id == Task.id, given.c.attempt == Task.attempt, given.c.token == Task.lease_token)
    )
    return _returned(which, AttemptOutcome.RETURNED, Reason.WORKER_STOPPED, worker_actor())


@cache
def rescue_executor() -> Executable:
    """What a dead process of a live worker held. Parameters: worker, incarnation."""
    which = _running().where(Task.worker_id == number("worker"), Task.executor == integer("incarnation"))
    return _returned(which, AttemptOutcome.LOST, Reason.WORKER_LOST, worker_actor())


@cache
def rescue_orphans() -> Executable:
    """What runs under no worker row, up to `RESCUE_LIMIT` tasks. Answers a row for each; repeat while it is full."""
    its_worker = select(Worker.id).where(Worker.id == Task.worker_id)
    which = _running().where(~its_worker.exists()).limit(RESCUE_LIMIT)
    return _returned(which, AttemptOutcome.LOST, Reason.WORKER_LOST, word("coordinator"))


@cache
def bury_workers() -> Executable:
    """Delete the workers whose lease ran out; they find out at their next heartbeat. Answers their ids."""
    return delete(Worker).where(Worker.seen_at + interval(Worker.lease_s) < func.now()).returning(Worker.id)


def _running() -> Select[int, int]:
    return (
        select(Task.id, Task.attempt)
        .where(Task.status == word(Status.RUNNING))
        .order_by(Task.id)
        .with_for_update(of=Task)
    )


def _returned(
    which: Select[int, int], outcome: AttemptOutcome, reason: Reason, actor: ColumnElement[str]
) -> Executable:
    held = which.cte("held")
    is_loss = flag(outcome is AttemptOutcome.LOST)
    losses = Task.losses + cast(is_loss, Integer)
    is_over = and_(is_loss, losses >= MAX_LOSSES)
    returned = (
        update(Task)
        .where(Task.id == held.c.id, Task.attempt == held.c.attempt, still_at(Task.status, {Status.RUNNING}))
        .values(
            status=case((is_over, word(Status.FAILED)), else_=word(Status.QUEUED)),
            reason=word(reason),
            error=case((is_over, f"lost together with its worker {MAX_LOSSES} times"), else_=Task.error),
            losses=losses,
            lease_token=null(),
            executor=null(),
            finished_at=case((is_over, func.now()), else_=null()),
        )
        .returning(Task.id, Task.attempt, Task.queue, Task.priority, Task.status, Task.worker_id, Task.started_at)
        .cte("returned")
    )
    history = (
        insert(TaskHistory)
        .from_select(
            ["task_id", "attempt", "from_status", "to_status", "actor", "details"],
            select(
                returned.c.id,
                returned.c.attempt,
                word(Status.RUNNING),
                returned.c.status,
                actor,
                func.jsonb_build_object(word("reason"), word(reason), word("worker_id"), returned.c.worker_id),
            ),
        )
        .cte("history")
    )
    attempts = (
        insert(TaskAttempt)
        .from_select(
            ["task_id", "attempt", "worker_id", "started_at", "finished_at", "outcome"],
            select(
                returned.c.id,
                returned.c.attempt,
                returned.c.worker_id,
                returned.c.started_at,
                func.now(),
                word(outcome),
            ),
        )
        .cte("attempts")
    )
    outbox = (
        insert(Outbox)
        .from_select(
            ["task_id", "queue", "priority", "is_due", "available_at"],
            select(returned.c.id, returned.c.queue, returned.c.priority, flag(True), func.now()).where(
                returned.c.status == word(Status.QUEUED)
            ),
        )
        .cte("outbox_rows")
    )
    return select(returned.c.id, returned.c.status).add_cte(history, attempts, outbox)
