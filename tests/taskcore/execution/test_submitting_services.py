"""Services of a plugin that submits and reads other tasks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from taskapi.schemas.tasks import Task
from taskcore.db.workers import workers
from taskcore.errors import InvalidTask
from taskcore.plugins.context import TaskContext
from tests.taskcore.db.db_harness import DatabaseHarness, new_task
from tests.taskcore.execution.service_plugins import MAX_QUEUES, run_to_end


def register_child(db: DatabaseHarness, schema: dict[str, Any]) -> None:
    """Register the type `child`."""
    known = {"name": "child", "description": "", "queue": "children", "schema": schema, "max_attempts": 7, "retry": {}}
    db.run(workers.register_types([known]))


def test_submitted_task_is_signed_by_the_submitting_task(db: DatabaseHarness) -> None:
    register_child(db, {"type": "object", "properties": {"n": {"type": "integer"}}})
    ids: list[int] = []

    def run(ctx: TaskContext) -> None:
        ids.append(ctx.submit("child", {"n": 1}, priority=3, labels={"of": str(ctx.task_id)}))
        ids.append(ctx.submit("child", name="second", run_at=datetime.now(UTC) + timedelta(hours=1)))

    assert run_to_end(db, run) == "succeeded"

    first, second = db.sql("SELECT * FROM task WHERE id = ANY(:ids) ORDER BY id", ids=ids)
    assert (first.name, first.queue, first.parameters, first.priority, first.max_attempts, first.status) == (
        "child",
        "children",
        {"n": 1},
        3,
        7,
        "queued",
    )
    assert (second.name, second.status) == ("second", "scheduled")
    assert [row.actor for row in db.sql("SELECT actor FROM task_history WHERE task_id = :id", id=ids[0])] == ["task:1"]


def test_idempotency_key_returns_the_same_task_and_refuses_another(db: DatabaseHarness) -> None:
    register_child(db, {})

    def run(ctx: TaskContext) -> None:
        first = ctx.submit("child", {"n": 1}, idempotency_key="mine")
        assert ctx.submit("child", {"n": 1}, idempotency_key="mine") == first
        with pytest.raises(InvalidTask, match="was used for a different task"):
            ctx.submit("child", {"n": 2}, idempotency_key="mine")
        assert ctx.submit("child", {"n": 1}) != ctx.submit("child", {"n": 1})

    assert run_to_end(db, run) == "succeeded"


def test_submitted_task_invents_no_queue_beyond_the_limit(db: DatabaseHarness) -> None:
    register_child(db, {})

    def run(ctx: TaskContext) -> None:
        for number in range(MAX_QUEUES - 1):  # and `default`, of this task
            ctx.submit("child", queue=f"queue-{number}")
        with pytest.raises(InvalidTask, match=r"queues\.max"):
            ctx.submit("child", queue="one-more")
        ctx.submit("child", queue="queue-0")
        ctx.submit("child")

    assert run_to_end(db, run) == "succeeded"


def test_live_setting_overrides_the_limit_of_queues(db: DatabaseHarness) -> None:
    register_child(db, {})
    db.sql("INSERT INTO setting (name, value, changed_by) VALUES ('queues.max', '1', 'me')")

    def run(ctx: TaskContext) -> None:
        with pytest.raises(InvalidTask, match=r"there are 1 already"):
            ctx.submit("child", queue="mine")

    assert run_to_end(db, run) == "succeeded"


@pytest.mark.parametrize(
    ("type_", "parameters", "fields", "named"),
    [
        ("unknown", {}, {}, "type"),
        ("child", {"n": "one"}, {}, "parameters.n"),
        ("child", {"text": "nul \0"}, {}, "parameters.text"),
        ("child", {}, {"priority": 1_000}, "priority"),
        ("child", {}, {"prioritty": 1}, "prioritty"),
        ("child", {}, {"depends_on": [1]}, "depends_on"),
        ("child", {}, {"queue": "worker.1"}, "queue"),
        ("child", {}, {"idempotency_key": ""}, "idempotency_key"),
        ("child", {"large": "x" * (1024 * 1024)}, {}, "bytes"),
        ("child", {"what": object()}, {}, "object"),
    ],
)
def test_task_that_the_api_would_refuse_is_refused(
    db: DatabaseHarness, type_: str, parameters: dict[str, Any], fields: dict[str, Any], named: str
) -> None:
    register_child(db, {"type": "object", "properties": {"n": {"type": "integer"}}})

    def run(ctx: TaskContext) -> None:
        with pytest.raises(InvalidTask, match=named):
            ctx.submit(type_, parameters, **fields)

    assert run_to_end(db, run) == "succeeded"
    assert db.sql("SELECT count(*) FROM task")[0][0] == 1


def test_plugin_sees_another_task_as_the_api_shows_it(db: DatabaseHarness) -> None:
    (other,) = db.submit(new_task(timeout_s=5.0, parameters={"n": 1}))
    seen: list[Any] = []

    def run(ctx: TaskContext) -> None:
        seen.append(ctx.get(other))
        assert ctx.get(12345) is None

    assert run_to_end(db, run) == "succeeded"

    (task,) = seen
    assert (task["id"], task["status"], task["parameters"], task["timeout"]) == (other, "queued", {"n": 1}, 5.0)
    assert task["created_at"].endswith("Z")
    assert task.keys() == set(Task.__struct_fields__) - {"available_actions", "trace_url"}
