"""The state of tasks in the database, in the terms of the model, and the invariants that always hold."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

from taskcore.domain.states import CLAIMABLE, HELD, TERMINAL, TRANSITIONS, Status
from tests.taskcore.db.db_harness import DatabaseHarness
from tests.taskcore.db.tasks.reference_model import ModelTask, ReferenceModel

#: One row per task that ever existed. A deleted one has only its history.
TASKS = """
    SELECT h.task_id, h.steps, t.status, t.attempt, t.failures, t.crashes, t.worker_losses, t.isolated,
        t.pause_requested, t.lease_token, t.dependents_state, t.checkpoint, t.result IS NOT NULL AS has_result,
        t.finished_at IS NOT NULL AS is_over, o.available_at <= now() AS is_due,
        (SELECT array_agg(attempt || ':' || outcome ORDER BY attempt)
         FROM task_attempt a WHERE a.task_id = h.task_id) AS attempts
    FROM (SELECT task_id, jsonb_agg(jsonb_build_array(from_status, to_status) ORDER BY id) AS steps
          FROM task_history GROUP BY task_id) h
    LEFT JOIN task t ON t.id = h.task_id LEFT JOIN outbox o ON o.task_id = h.task_id
"""
#: Transitions out of a terminal status that no user requested, except that a task follows its retried parent.
UNREQUESTED_RESTARTS = """
    SELECT 1 FROM task_history WHERE from_status IN ('succeeded', 'failed', 'cancelled') AND actor <> 'me'
        AND to_status IS NOT NULL AND (from_status, to_status) IS DISTINCT FROM ('cancelled', 'blocked')
"""
STEPS = {(source, transition.target) for transition in TRANSITIONS for source in transition.sources or {None}}

Step = tuple[str | None, str | None]


@dataclass(frozen=True)
class Snapshot:
    """The state of a task. `is_due` is None without an outbox row. A deleted task has only `steps`."""

    status: str | None
    steps: tuple[Step, ...]
    counts: tuple[int, ...] = ()
    flags: tuple[bool, ...] = ()
    token: UUID | None = None
    dependents_state: str | None = None
    checkpoint: int | None = None
    has_result: bool = False
    is_over: bool = False
    is_due: bool | None = None
    attempts: tuple[str, ...] = ()


def clear(db: DatabaseHarness) -> None:
    """DELETE, because TRUNCATE takes several times as long."""
    for table in ("task", "task_history", "task_attempt", "task_dependency", "outbox", "queue", "worker"):
        db.sql(f"DELETE FROM {table}")


def take_snapshots(db: DatabaseHarness) -> dict[int, Snapshot]:
    return {
        row.task_id: Snapshot(
            row.status,
            tuple((source, target) for source, target in row.steps),
            (row.attempt, row.failures, row.crashes, row.worker_losses) if row.status else (),
            (row.isolated, row.pause_requested) if row.status else (),
            row.lease_token,
            row.dependents_state,
            row.checkpoint,
            row.has_result,
            row.is_over,
            row.is_due,
            tuple(row.attempts or ()),
        )
        for row in db.sql(TASKS)
    }


def expected_snapshots(model: ReferenceModel) -> dict[int, Snapshot]:
    return {task.id: _expected(task) for task in model.tasks.values()}


def _expected(task: ModelTask) -> Snapshot:
    if task.status is None:
        return Snapshot(None, tuple(task.history))
    return Snapshot(
        task.status,
        tuple(task.history),
        (task.attempt, task.failures, task.crashes, task.worker_losses),
        (task.isolated, task.pause_requested),
        task.token,
        task.dependents_state,
        task.checkpoint,
        task.has_result,
        task.status in TERMINAL,
        task.is_due if task.status in CLAIMABLE else None,
        tuple(f"{attempt}:{outcome}" for attempt, outcome in task.attempts),
    )


def assert_consistent(db: DatabaseHarness) -> None:
    """Every step is a known transition that continues the one before, and the state agrees with the last one."""
    for one in take_snapshots(db).values():
        assert one.steps[0][0] is None
        assert set(one.steps) <= STEPS
        assert all(before[1] == after[0] for before, after in pairwise(one.steps))
        assert one.steps[-1][1] == one.status
        if one.status is None:
            assert one == Snapshot(None, one.steps)
        else:
            _assert_agrees(one, Status(one.status))
    assert not db.sql(UNREQUESTED_RESTARTS)


def _assert_agrees(one: Snapshot, status: Status) -> None:
    assert (one.is_due is not None) == (status in CLAIMABLE)
    assert (one.token is not None) == (status in HELD)
    assert one.is_over == (status in TERMINAL)
    begun = sum(target == Status.RUNNING != source for source, target in one.steps)
    assert one.counts[0] == begun
    ended = [str(number) for number in range(1, begun + (status not in HELD))]
    assert [attempt.split(":")[0] for attempt in one.attempts] == ended
