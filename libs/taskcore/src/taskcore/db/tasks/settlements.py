"""Settlements: how an attempt's end is written, by its worker, by that worker's supervisor, or by the rescuer.

Fenced by (task, attempt, token).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    Executable,
    Float,
    Integer,
    Select,
    TableValuedAlias,
    Text,
    Uuid,
    and_,
    case,
    cast,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from taskcore.db.models import Outbox, Task, TaskAttempt, TaskHistory
from taskcore.db.sql import actor_param, const_bool, const_text, interval, key_equals, recordset, status_in_unindexed
from taskcore.domain.outcomes import RELEASES_UNTIL_ISOLATED, AttemptOutcome, ChargedAs, Reason
from taskcore.domain.states import HELD, TERMINAL, Status

#: Position and length of the trace id in a traceparent.
_TRACE_ID: tuple[ColumnElement[Any], ...] = (literal_column("4"), literal_column("32"))


@cache
def settle() -> Executable:
    """Write the ends of attempts: the task, its history, its attempt and, if it may run again, its outbox row.

    Parameters: by (the actor), and rows: a JSON array of {task_id, attempt, token, status, outcome, charged_as, result,
    error, reason, wait_s, isolated, waited_s, ran_s, trace, span}. A task that was cancelled meanwhile becomes
    cancelled; one that was asked to pause becomes paused, unless it has finished. `result_rows` makes rows.

    Returns (id, status, dependents_state) of the settled tasks. A task that is not among them is no longer held under
    that lease, and nothing was written about it.

    The statement is a chain: `given` (the parameter as a table), `held` (the tasks that the leases still hold, locked,
    with their new state), `settled` (the update), and one CTE each for history, attempts and outbox.
    """
    given = recordset(
        "given",
        task_id=BigInteger,
        attempt=Integer,
        token=Uuid,
        status=Text,
        outcome=Text,
        charged_as=Text,
        result=JSONB,
        error=Text,
        reason=Text,
        wait_s=Float,
        isolated=Boolean,
        waited_s=Float,
        ran_s=Float,
        trace=Text,
        span=Text,
    )
    held = _held(given).cte("held")
    settled = _settled(held)
    return select(settled.c.id, settled.c.status, settled.c.dependents_state).add_cte(
        _history(settled), _attempts(settled), _outbox(settled)
    )


def _held(given: TableValuedAlias) -> Select[Any]:
    """The tasks that are still held, locked, with the state that each will have."""
    is_cancelled = status_in_unindexed(Task.status, {Status.CANCELLING})
    may_run_again = given.c.status.in_([const_text(Status.RETRYING), const_text(Status.QUEUED)])
    started_at = Task.started_at + interval(func.coalesce(given.c.waited_s, literal_column("0")))
    # The trace of a dead worker is unknown, but a first attempt continues the trace of the submission.
    first_trace = case((given.c.attempt == literal_column("1"), func.substr(Task.trace_context, *_TRACE_ID)))
    return (
        select(
            given.c.task_id,
            given.c.attempt,
            given.c.token,
            given.c.charged_as,
            given.c.wait_s,
            given.c.isolated,
            Task.status.label("was"),
            Task.pause_reason,
            Task.paused_by,
            case(
                (is_cancelled, const_text(Status.CANCELLED)),
                (and_(may_run_again, Task.pause_requested), const_text(Status.PAUSED)),
                else_=given.c.status,
            ).label("becomes"),
            case((is_cancelled, const_text(AttemptOutcome.CANCELLED)), else_=given.c.outcome).label("outcome"),
            case((is_cancelled, null()), else_=given.c.result).label("result"),
            case((is_cancelled, Task.error), else_=given.c.error).label("error"),
            case((is_cancelled, Task.reason), else_=given.c.reason).label("reason"),
            started_at.label("started_at"),
            func.coalesce(started_at + interval(given.c.ran_s), func.now()).label("finished_at"),
            func.coalesce(given.c.trace, first_trace).label("trace_id"),
            given.c.span.label("span_id"),
        )
        .join_from(given, Task, and_(key_equals(Task.id, given.c.task_id), Task.attempt == given.c.attempt))
        .where(Task.lease_token == given.c.token, status_in_unindexed(Task.status, HELD))
        .order_by(given.c.task_id)
        .with_for_update(of=Task)
    )


def _settled(held: CTE) -> CTE:
    is_finished = held.c.becomes.in_([const_text(s) for s in sorted(TERMINAL)])
    finished_at = case((is_finished, held.c.finished_at))
    is_paused = held.c.becomes == const_text(Status.PAUSED)
    return (
        update(Task)
        .where(key_equals(Task.id, held.c.task_id), Task.attempt == held.c.attempt, Task.lease_token == held.c.token)
        .values(
            status=held.c.becomes,
            failures=Task.failures + cast(held.c.charged_as == const_text(ChargedAs.FAILURE), Integer),
            crashes=Task.crashes + cast(held.c.charged_as == const_text(ChargedAs.CRASH), Integer),
            worker_losses=Task.worker_losses + cast(held.c.charged_as == const_text(ChargedAs.WORKER_LOSS), Integer),
            isolated=or_(Task.isolated, held.c.isolated, _is_released_again(held)),
            pause_requested=const_bool(False),
            pause_reason=case((is_paused, held.c.pause_reason)),
            paused_by=case((is_paused, held.c.paused_by)),
            lease_token=null(),
            executor=null(),
            result=held.c.result,
            error=held.c.error,
            reason=held.c.reason,
            started_at=held.c.started_at,
            finished_at=finished_at,
            delete_at=finished_at + interval(Task.delete_after_s),
        )
        .returning(
            Task.id, Task.queue, Task.type, Task.priority, Task.status, Task.worker_id, Task.dependents_state, held
        )
        .cte("settled")
    )


def _is_released_again(held: CTE) -> ColumnElement[bool]:
    """The attempt, and those before it, were released because their process stopped: perhaps they stop it."""
    earlier = RELEASES_UNTIL_ISOLATED - 1
    released = (
        select(func.count() == literal_column(str(earlier)))
        .where(
            key_equals(TaskAttempt.task_id, held.c.task_id),
            TaskAttempt.attempt < held.c.attempt,
            TaskAttempt.attempt >= held.c.attempt - literal_column(str(earlier)),
            TaskAttempt.outcome == const_text(AttemptOutcome.RELEASED),
        )
        .scalar_subquery()
    )
    is_stopped = and_(
        held.c.outcome == const_text(AttemptOutcome.RELEASED), held.c.reason == const_text(Reason.WORKER_STOPPED)
    )
    return case((is_stopped, released), else_=const_bool(False))


def _history(settled: CTE) -> CTE:
    is_paused = settled.c.becomes == const_text(Status.PAUSED)
    was_asked = and_(is_paused, settled.c.paused_by.is_not(None))
    details = case(
        (
            settled.c.becomes == const_text(Status.RETRYING),
            func.jsonb_build_object(const_text("error"), settled.c.error, const_text("retry_in_s"), settled.c.wait_s),
        ),
        (
            or_(settled.c.error.is_not(None), settled.c.reason.is_not(None), was_asked),
            func.jsonb_strip_nulls(
                func.jsonb_build_object(
                    const_text("error"),
                    settled.c.error,
                    const_text("reason"),
                    settled.c.reason,
                    const_text("outcome"),
                    settled.c.outcome,
                    const_text("pause_reason"),
                    case((is_paused, settled.c.pause_reason)),
                    const_text("paused_by"),
                    case((is_paused, settled.c.paused_by)),
                )
            ),
        ),
    )
    return (
        insert(TaskHistory)
        .from_select(
            ["task_id", "attempt", "from_status", "to_status", "actor", "details"],
            select(settled.c.id, settled.c.attempt, settled.c.was, settled.c.becomes, actor_param(), details),
        )
        .cte("history")
    )


def _attempts(settled: CTE) -> CTE:
    columns = ("worker_id", "started_at", "finished_at", "outcome", "error", "trace_id", "span_id")
    return (
        insert(TaskAttempt)
        .from_select(
            ["task_id", "attempt", *columns],
            select(settled.c.id, settled.c.attempt, *(settled.c[name] for name in columns)),
        )
        .cte("attempts")
    )


def _outbox(settled: CTE) -> CTE:
    may_run_again = settled.c.becomes.in_([const_text(Status.RETRYING), const_text(Status.QUEUED)])
    wait = interval(func.coalesce(settled.c.wait_s, literal_column("0")))
    return (
        insert(Outbox)
        .from_select(
            ["task_id", "queue", "type", "priority", "is_due", "available_at"],
            select(
                settled.c.id,
                settled.c.queue,
                settled.c.type,
                settled.c.priority,
                settled.c.becomes == const_text(Status.QUEUED),
                func.now() + wait,
            ).where(may_run_again),
        )
        .cte("outbox_rows")
    )
