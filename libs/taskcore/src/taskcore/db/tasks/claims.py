"""Claims: how a worker gets the right to run an attempt.

The outbox row entitles to it, not the status: only the statement that deletes a due outbox row gets the task, so a
duplicate or stale message gets nothing. Tasks are locked in id order, as in every set-based statement here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    Executable,
    Float,
    and_,
    case,
    cast,
    delete,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)

from taskcore.db.models import Outbox, Task, TaskHistory
from taskcore.db.queues.outbox import lock_rows, paused_queues
from taskcore.db.sql import (
    bigint_param,
    bigints_param,
    const_bool,
    const_text,
    int_param,
    interval,
    key_equals,
    status_in_unindexed,
    texts_param,
    token_param,
    worker_actor_param,
)
from taskcore.domain.states import CLAIM, Status
from taskcore.domain.tasks import Claim, ClaimedTask, Lease

_CLAIMED = (
    Task.id,
    Task.attempt,
    Task.name,
    Task.type,
    Task.queue,
    Task.parameters,
    Task.failures,
    Task.crashes,
    Task.worker_losses,
    Task.max_attempts,
    Task.timeout_s,
    Task.isolated,
    Task.checkpoint,
    Task.request_id,
    Task.trace_context,
    #: Only for traced tasks: parsing a timestamp is slow at thousands of claims per second.
    case((Task.trace_context.is_not(None), Task.started_at)).label("claimed_at"),
)


@cache
def claim() -> Executable:
    """Claim the tasks in `ids` that are due, and those in `short_ids` that are due and of a type in `short_types`.

    Parameters: ids, short_ids, types (those this worker knows), short_types, token, worker, incarnation. Returns a row
    for each task that the worker now holds; `queued_s` is how long the task could have been claimed already. All others
    were refused: see `still_due`.
    """
    candidates = _candidates()
    # A row that another transaction deleted, or moved into the future, while this one waited for the lock is not
    # deleted here, and so not claimed.
    entitled = (
        delete(Outbox)
        .where(key_equals(Outbox.task_id, candidates.c.id), Outbox.available_at <= func.now())
        .returning(Outbox.task_id, Outbox.available_at, candidates.c.status)
        .cte("entitled")
    )
    waited = func.date_part(const_text("epoch"), func.now() - entitled.c.available_at, type_=Float)
    claimed = (
        update(Task)
        .where(key_equals(Task.id, entitled.c.task_id), status_in_unindexed(Task.status, CLAIM.sources))
        .values(
            status=const_text(Status.RUNNING),
            attempt=Task.attempt + literal_column("1"),
            lease_token=token_param(),
            worker_id=bigint_param("worker"),
            executor=int_param("incarnation"),
            started_at=func.now(),
            finished_at=null(),
        )
        .returning(*_CLAIMED, entitled.c.status.label("was"), waited.label("queued_s"))
        .cte("claimed")
    )
    answered = [column for column in claimed.c if column is not claimed.c.was]
    return select(*answered).order_by(claimed.c.id).add_cte(_history(claimed))


def _candidates() -> CTE:
    wanted = or_(
        and_(Task.id == func.any(bigints_param()), Task.type == func.any(texts_param("types"))),
        and_(Task.id == func.any(bigints_param("short_ids")), Task.type == func.any(texts_param("short_types"))),
    )
    return (
        select(Task.id, Task.status)
        .join_from(Outbox, Task, key_equals(Task.id, Outbox.task_id))
        .where(Outbox.task_id == func.any(func.array_cat(bigints_param(), bigints_param("short_ids"))), wanted)
        .where(Outbox.available_at <= func.now(), status_in_unindexed(Task.status, CLAIM.sources))
        .where(Outbox.queue.not_in(paused_queues()))
        .order_by(Task.id + literal_column("0"))  # forces a sort: the planner would read a whole index in this order
        .with_for_update(of=Task)
        .cte("candidates")
    )


def _history(claimed: CTE) -> CTE:
    return (
        insert(TaskHistory)
        .from_select(
            ["task_id", "attempt", "from_status", "to_status", "actor"],
            select(claimed.c.id, claimed.c.attempt, claimed.c.was, const_text(Status.RUNNING), worker_actor_param()),
        )
        .cte("history")
    )


@cache
def find_by_token() -> Executable:
    """Return what the claim with this `token` took, for a worker that lost the reply. Parameters: token, worker.

    `queued_s` is null: it was computed from the outbox row, which is gone.
    """
    return (
        select(*_CLAIMED, cast(null(), Float).label("queued_s"))
        .where(Task.lease_token == token_param(), Task.status == const_text(Status.RUNNING))
        .where(Task.worker_id == bigint_param("worker"))
        .order_by(Task.id)
    )


@cache
def still_due() -> Executable:
    """(id, type, is_paused) of those of `ids` that are still due although a claim left them. Parameter: ids.

    `is_paused`: their queue is.
    """
    return (
        select(Task.id, Task.type, Outbox.queue.in_(paused_queues()).label("is_paused"))
        .join(Outbox, key_equals(Outbox.task_id, Task.id))
        .where(Task.id == func.any(bigints_param()), Outbox.available_at <= func.now())
        .where(status_in_unindexed(Task.status, CLAIM.sources))
    )


@cache
def postpone() -> Executable:
    """Make `ids` due again a second from now, because this worker does not know their types. Parameter: ids."""
    refused = lock_rows(and_(Outbox.task_id == func.any(bigints_param()), Outbox.available_at <= func.now()))
    return (
        update(Outbox)
        .where(key_equals(Outbox.task_id, refused.c.task_id))
        .values(is_due=const_bool(False), dispatched_at=null(), available_at=func.now() + interval(literal_column("1")))
    )


def to_claims(rows: Sequence[Any], token: UUID, message_traceparents: Mapping[int, str]) -> list[Claim]:
    """Convert the rows of `claim` or `find_by_token`, which have just arrived. Traceparents are by task id."""
    now = time.monotonic()
    return [
        Claim(
            _claimed_task(row, token, now),
            row.queued_s,
            row.claimed_at,
            row.trace_context,
            message_traceparents.get(row.id),
        )
        for row in rows
    ]


def _claimed_task(row: Any, token: UUID, now: float) -> ClaimedTask:
    return ClaimedTask(
        lease=Lease(row.id, row.attempt, token),
        name=row.name,
        type=row.type,
        queue=row.queue,
        parameters=row.parameters,
        failures=row.failures,
        max_attempts=row.max_attempts,
        claimed_at=now,
        crashes=row.crashes,
        worker_losses=row.worker_losses,
        timeout_s=row.timeout_s,
        isolated=row.isolated,
        checkpoint=row.checkpoint,
        request_id=row.request_id,
    )
