"""Ends of tasks other than success: failures and retries, results that cannot be stored, unknown types."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import text

from harness.waiting import eventually
from taskcore.db.engine import sync_engine
from taskcore.db.workers import workers
from tests.system.conftest import MakeSystem
from tests.system.system import System


@pytest.fixture(scope="module")
def system(make_system: MakeSystem) -> System:
    system = make_system({"TASKCORE_COORDINATOR__SWEEP_EVERY_S": "1"})
    system.start(coordinators=2, workers=1)
    return system


def test_failing_task_is_retried_with_growing_waits_and_fails_with_the_last_error(system: System) -> None:
    task_id = system.submit("flaky")

    system.wait_for(task_id)

    task = system.task(task_id)
    assert (task["status"], task["failures"], task["reason"]) == ("failed", 4, "attempts_exhausted")
    assert task["error"].startswith("RuntimeError: attempt 4 went wrong\n")
    assert system.history(task_id) == ["queued", *["running", "retrying"] * 3, "running", "failed"]
    attempts = system.attempts(task_id)
    assert [attempt["error"].splitlines()[0] for attempt in attempts] == [
        f"RuntimeError: attempt {number} went wrong" for number in (1, 2, 3, 4)
    ]
    times = [(datetime.fromisoformat(a["started_at"]), datetime.fromisoformat(a["finished_at"])) for a in attempts]
    waits = [later[0] - earlier[1] for earlier, later in pairwise(times)]
    for wait, least_s in zip(waits, (0.2, 0.4, 0.8), strict=True):
        assert wait >= timedelta(seconds=least_s)


def test_attempts_include_the_running_one(system: System, tmp_path: Path) -> None:
    task_id = system.submit("flaky", {"gates": str(tmp_path)})

    for number in (1, 2, 3, 4):
        eventually(lambda number=number: len(system.attempts(task_id)) == number)  # type: ignore[misc]
        *past, running = system.attempts(task_id)
        assert [attempt["outcome"] for attempt in past] == ["failed"] * (number - 1)
        assert (running["attempt"], running["outcome"], running["finished_at"]) == (number, None, None)
        assert system.task(task_id)["status"] == "running"
        (tmp_path / str(number)).touch()

    system.wait_for(task_id)
    assert [attempt["outcome"] for attempt in system.attempts(task_id)] == ["failed"] * 4


def test_result_that_cannot_be_stored_fails_only_its_task(system: System) -> None:
    ends = {
        "nul": ("succeeded", None),
        "surrogate": ("succeeded", None),
        "nan": ("succeeded", None),
        "ten_megabytes": ("failed", "invalid_result"),
        "not_json": ("failed", "invalid_result"),
        "no_error": ("failed", "invalid_result"),
        "no_wait": ("failed", "attempts_exhausted"),
        "unspeakable": ("failed", "attempts_exhausted"),
        "exit": ("failed", "attempts_exhausted"),
    }
    odd = [{"name": what, "type": "returns", "parameters": {"what": what}} for what in ends]
    plain = [{"name": "plain", "type": "noop"}] * 10
    results = system.api.post("/tasks/batch", json={"tasks": [*plain, *odd, *plain]}).json()["results"]
    task_ids = [result["id"] for result in results]

    system.wait_for(task_ids)

    tasks = [system.task(task_id) for task_id in task_ids]
    assert {task["name"]: (task["status"], task["reason"]) for task in tasks} == {"plain": ("succeeded", None), **ends}
    assert {task["name"]: task["result"] for task in tasks if task["name"] in ("nul", "surrogate", "nan")} == {
        "nul": {"text": "before\N{REPLACEMENT CHARACTER}after"},
        "surrogate": "?",
        "nan": None,
    }


def test_task_of_a_type_without_workers_fails(system: System) -> None:
    forgotten = {"name": "forgotten", "description": "", "queue": "default", "schema": {}, "retry": {}}
    engine = sync_engine(system.database_url, name="test", pool_size=1)
    with engine.connect() as connection:
        connection.execute(workers.register_types([{**forgotten, "max_attempts": 1}]))
        task_id = system.submit("forgotten")
        long_ago = "now() - interval '2 days'"
        connection.execute(text(f"UPDATE task_type SET seen_at = {long_ago} WHERE name = 'forgotten'"))
        connection.execute(text(f"UPDATE outbox SET available_at = {long_ago} WHERE task_id = {task_id}"))
    engine.dispose()

    system.wait_for(task_id)

    task = system.task(task_id)
    assert (task["status"], task["reason"], task["attempt"]) == ("failed", "unknown_type", 0)
    assert system.scalar("SELECT count(*) FROM outbox WHERE task_id = %s", task_id) == 0


def test_task_of_a_type_with_a_live_worker_does_not_fail(system: System) -> None:
    later = datetime.now(UTC) + timedelta(seconds=4)
    system.sql("UPDATE task_type SET seen_at = now() - interval '1 hour' WHERE name = 'noop'")

    task_id = system.submit("noop", run_at=later.isoformat())
    system.wait_for(task_id)

    assert system.history(task_id) == ["scheduled", "running", "succeeded"]


def test_waiting_task_without_an_outbox_row_gets_a_new_one(system: System) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    scheduled = system.submit_many(10, "noop", run_at=later)

    system.sql("UPDATE task SET run_at = now() WHERE id = ANY(%s)", scheduled)
    system.sql("DELETE FROM outbox WHERE task_id = ANY(%s)", scheduled)

    system.wait_for(scheduled)
    for task_id in scheduled:
        assert system.history(task_id) == ["scheduled", "running", "succeeded"]
