"""What people do to a task: cancel, pause, resume, retry, delete. Each is one guarded statement.

No row back means that the task does not stand where this could be done. The task is to be locked before, by a statement
of its own (`dependencies.hold_all`, or `hold` where it says so): one that waits for the lock itself would not see, and
so leave behind, the outbox row that whoever held it has written.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, Select, Text, bindparam, case, exists, func, select, update
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.dml import ReturningUpdate

from taskcore.db.models import Task, TaskType, Worker
from taskcore.db.sql import flag, ids, number, seconds, signed, still_at, word
from taskcore.db.tasks.dependencies import is_in_vain, is_waiting_for_others
from taskcore.db.tasks.removals import removed
from taskcore.db.tasks.transitions import anew, changed, dropped, is_ahead, over, sent, standing, told
from taskcore.db.workers.workers import IS_LIVE
from taskcore.domain.outcomes import Reason
from taskcore.domain.states import CANCEL, DELETE, GIVE_UP, INTERRUPT, PAUSE, RESUME, RETRY, Status

GIVE_UP_LIMIT = 1_000


@cache
def cancel() -> Executable:
    """Cancel a task that waits. Parameters: task, by, why. Answers (id, status, dependents)."""
    was = standing(CANCEL.sources, Task.id == number("task"))
    rows = changed(was, CANCEL.sources, word(Status.CANCELLED), reason=word(Reason.CANCELLED), error=_why(), **over())
    answer = select(rows.c.id, rows.c.status, rows.c.dependents)
    return answer.add_cte(told(rows, signed(), _reason_given()), dropped(rows))


@cache
def interrupt() -> Executable:
    """Tell a task that runs to stop, if its type can; its worker settles it. Parameters and answer as `cancel`.

    The settlement keeps the reason and the error that are written here.
    """
    was = standing(INTERRUPT.sources, (Task.id == number("task")) & _its_type(TaskType.can_cancel))
    reason = word(Reason.CANCELLED)
    rows = changed(was, INTERRUPT.sources, word(Status.CANCELLING), reason=reason, error=_why())
    return select(rows.c.id, rows.c.status, rows.c.dependents).add_cte(told(rows, signed(), _reason_given()))


@cache
def pause() -> Executable:
    """Take a task that waits out of the queue. Parameters: task, by, why. Answers its id."""
    was = standing(PAUSE.sources, Task.id == number("task"))
    rows = changed(was, PAUSE.sources, word(Status.PAUSED))
    return select(rows.c.id).add_cte(told(rows, signed(), _reason_given()), dropped(rows))


@cache
def request_pause() -> Executable:
    """Ask a task that runs to pause, if its type can; its worker settles it. Parameter: task. Answers its id."""
    return _pause_requested(True).where(_its_type(TaskType.can_pause))


@cache
def withdraw_pause() -> Executable:
    """A task that runs need not pause after all. Parameter: task. Answers its id."""
    return _pause_requested(False).where(Task.pause_requested)


@cache
def resume() -> Executable:
    """Let a paused task go on, after `dependencies.hold`. Parameters: task, by. Answers (id, status).

    To blocked, while something that it depends on has not succeeded: what came to nothing is then passed on to it.
    """
    was = standing(RESUME.sources, Task.id == number("task"))
    becomes = case(
        (is_waiting_for_others(), word(Status.BLOCKED)),
        (is_ahead(), word(Status.SCHEDULED)),
        else_=word(Status.QUEUED),
    )
    rows = changed(was, RESUME.sources, becomes)
    return select(rows.c.id, rows.c.status).add_cte(told(rows, signed()), sent(rows))


@cache
def retry() -> Executable:
    """Run a task that failed or was cancelled again, with all its attempts, after `dependencies.hold`.

    Parameters: task, by. Answers (id, dependents). Not while something that it depends on has come to nothing; what
    its own end had cancelled is armed again.
    """
    was = standing(RETRY.sources, (Task.id == number("task")) & ~is_in_vain())
    becomes = case((is_waiting_for_others(), word(Status.BLOCKED)), else_=word(Status.QUEUED))
    rearm = case((Task.dependents.is_not(None), word("rearm")))
    rows = changed(was, RETRY.sources, becomes, dependents=rearm, **anew())
    return select(rows.c.id, rows.c.dependents).add_cte(told(rows, signed()), sent(rows))


@cache
def remove() -> Executable:
    """Delete a task that does not run; its history stays. Parameters: task, by. Answers its id."""
    return removed(standing(DELETE.sources, Task.id == number("task")), signed(), func.jsonb_build_object())


@cache
def unserved() -> Executable:
    """Lock what waits for a type that no worker has served for `after_s` seconds. Answers up to `GIVE_UP_LIMIT` ids."""
    return select(standing(GIVE_UP.sources, Task.type.in_(_unserved_types()), limit=GIVE_UP_LIMIT).c.id)


@cache
def give_up() -> Executable:
    """Fail `ids`, which are `unserved`. Answers their ids."""
    was = standing(GIVE_UP.sources, Task.id == func.any(ids()))
    error = word("no live worker has known this type for too long")
    reason = word(Reason.UNKNOWN_TYPE)
    rows = changed(was, GIVE_UP.sources, word(Status.FAILED), reason=reason, error=error, **over())
    details = func.jsonb_build_object(word("reason"), reason)
    return select(rows.c.id).add_cte(told(rows, word("coordinator"), details), dropped(rows))


@cache
def unserved_types() -> Executable:
    """Whether any type has gone unserved for `after_s` seconds: cheap, where `give_up` is not."""
    return _unserved_types().limit(1)


def _unserved_types() -> Select[Any]:
    """`seen_at` is renewed now and then only: a type of a live worker is served, however old that is."""
    is_served = exists().where(TaskType.name == func.any(Worker.types), IS_LIVE)
    return select(TaskType.name).where(TaskType.seen_at < func.now() - seconds("after_s"), ~is_served)


def _pause_requested(wanted: bool) -> ReturningUpdate[int]:
    return (
        update(Task)
        .where(Task.id == number("task"), still_at(Task.status, {Status.RUNNING}))
        .values(pause_requested=flag(wanted))
        .returning(Task.id)
    )


def _its_type(can: InstrumentedAttribute[bool]) -> ColumnElement[bool]:
    return exists().where(TaskType.name == Task.type, can)


def _why() -> ColumnElement[str]:
    return bindparam("why", type_=Text)


def _reason_given() -> ColumnElement[Any]:
    return func.jsonb_build_object(word("reason"), _why())
