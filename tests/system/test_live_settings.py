"""A live setting takes effect in running processes."""

from __future__ import annotations

import pytest

from harness.waiting import eventually
from tests.system.conftest import MakeSystem
from tests.system.system import System


@pytest.fixture(scope="module")
def system(make_system: MakeSystem) -> System:
    """Return a system whose coordinators sweep once an hour."""
    system = make_system({"TASKCORE_COORDINATOR__SWEEP_EVERY_S": "3600"})
    system.start(coordinators=1)
    return system


def lose_outbox_row(system: System, task_id: int) -> None:
    system.sql("DELETE FROM outbox WHERE task_id = %s", task_id)


def wait_for_outbox_row(system: System, task_id: int) -> None:
    """Wait until the sweep has replaced the missing row."""
    eventually(lambda: bool(system.sql("SELECT 1 FROM outbox WHERE task_id = %s", task_id)), 60, description="a sweep")


def test_shorter_sweep_interval_applies_without_waiting_for_the_old_one(system: System) -> None:
    (row,) = system.sql(
        "INSERT INTO task (name, type, queue, parameters, priority, max_attempts, status)"
        " VALUES ('t', 'noop', 'default', '{}', 0, 4, 'queued') RETURNING id"
    )
    system.start_coordinator()  # it sweeps once at its start
    wait_for_outbox_row(system, row["id"])
    lose_outbox_row(system, row["id"])

    changed = system.api.put("/settings/coordinator.sweep_every_s", json={"value": 1})

    assert changed.status_code == 200, changed.text
    wait_for_outbox_row(system, row["id"])
    assert all("settings.changed" in coordinator.log for coordinator in system.coordinators)


def test_new_retention_setting_deletes_old_tasks_at_once(system: System) -> None:
    (row,) = system.sql(
        "INSERT INTO task (name, type, queue, parameters, priority, max_attempts, status, finished_at)"
        " VALUES ('t', 'noop', 'default', '{}', 0, 4, 'succeeded', now() - interval '1 hour') RETURNING id"
    )

    system.api.put("/settings/retention.succeeded_s", json={"value": 60})

    eventually(
        lambda: system.api.get(f"/tasks/{row['id']}").status_code == 404, 60, description="the task being deleted"
    )
    assert system.history(row["id"]) == [None]


def test_log_level_applies_to_a_running_worker(system: System) -> None:
    worker = system.start_worker(processes=1)
    assert "worker.registered" in worker.log

    system.api.put("/settings/log.level", json={"value": "error"})
    eventually(lambda: '"log.level"' in worker.log, 60, description="the change in the worker's log")
    worker.terminate()

    assert "worker.draining" not in worker.log
