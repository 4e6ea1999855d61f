"""Which tasks of a batch continue the trace of their submission."""

from __future__ import annotations

from taskcore.db.tasks.submit import MAX_TRACED_PER_BATCH, submit
from taskcore.db.tasks.submit_dependent import submit_planned
from taskcore.domain.dependencies import plan_start
from tests.taskcore.db.db_harness import DatabaseHarness, new_task

CONTEXTS = "SELECT trace_context FROM task ORDER BY id"
TRACEPARENT = f"00-{1:032x}-{2:016x}-01"


def test_only_the_first_tasks_of_a_batch_continue_its_trace(db: DatabaseHarness) -> None:
    tasks, start = [new_task() for _ in range(MAX_TRACED_PER_BATCH + 5)], plan_start([])

    statement, parameters = submit(tasks, trace_context=TRACEPARENT)
    db.run(statement, **parameters)
    statement, parameters = submit_planned([(task, start) for task in tasks], trace_context=TRACEPARENT)
    db.run(statement, **parameters)

    expected = [TRACEPARENT] * MAX_TRACED_PER_BATCH + [None] * 5
    assert [row.trace_context for row in db.sql(CONTEXTS)] == 2 * expected


def test_a_task_submitted_without_a_trace_has_none(db: DatabaseHarness) -> None:
    db.submit(new_task())

    assert [row.trace_context for row in db.sql(CONTEXTS)] == [None]
