"""Which tasks of a request go on with its trace."""

from __future__ import annotations

from harness.span_recorder import SpanRecorder
from taskcore.db.tasks.submit import MAX_TRACED_PER_BATCH, submit
from taskcore.db.tasks.submit_dependent import submit_planned
from taskcore.domain.dependencies import plan_start
from tests.taskcore.db.db_harness import DatabaseHarness, new_task

TOGETHER = "SELECT trace_context FROM task ORDER BY id"


def test_of_a_batch_the_first_few_are_followed_however_it_is_submitted(stage: DatabaseHarness) -> None:
    traced, tasks = SpanRecorder(), [new_task() for _ in range(MAX_TRACED_PER_BATCH + 5)]
    start = plan_start([])

    with traced.run() as span:
        for statement, parameters in (submit(tasks), submit_planned([(task, start) for task in tasks])):
            stage.run(statement, **parameters)

    context = span.get_span_context()
    own = f"00-{context.trace_id:032x}-{context.span_id:016x}-01"
    found = [row.trace_context for row in stage.sql(TOGETHER)]
    assert found == 2 * ([own] * MAX_TRACED_PER_BATCH + [None] * 5)


def test_what_is_submitted_where_nothing_is_followed_is_not(stage: DatabaseHarness) -> None:
    stage.submit(new_task())

    assert [row.trace_context for row in stage.sql(TOGETHER)] == [None]
