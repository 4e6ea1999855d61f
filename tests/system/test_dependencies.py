"""Dependencies, cancellation of running tasks, and pauses, across all processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import MakeSystem
from tests.system.system import System


@pytest.fixture(scope="module")
def system(make_system: MakeSystem) -> System:
    system = make_system({})
    system.start(coordinators=2, workers=1)
    return system


def submit_batch(system: System, *tasks: dict[str, Any]) -> list[int]:
    response = system.api.post("/tasks/batch", json={"tasks": [{"name": "t", "type": "noop", **one} for one in tasks]})
    assert response.status_code == 201, response.text
    return [result["id"] for result in response.json()["results"]]


def change(system: System, path: str) -> dict[str, Any]:
    response = system.api.post(path)
    assert response.status_code == 200, response.text
    changed: dict[str, Any] = response.json()
    return changed


def test_diamond_of_tasks_runs_in_order_of_dependencies(system: System) -> None:
    last, left, right, first = submit_batch(
        system,
        {"depends_on": ["left", "right"]},
        {"ref": "left", "depends_on": ["first"]},
        {"ref": "right", "depends_on": ["first"]},
        {"ref": "first"},
    )

    system.wait_for([first, left, right, last], "succeeded")

    rows = system.sql("SELECT id FROM task WHERE id = ANY(%s) ORDER BY started_at", [first, left, right, last])
    assert [row["id"] for row in rows][::3] == [first, last]
    assert system.history(last) == ["blocked", "queued", "running", "succeeded"]


def test_tasks_cancelled_by_a_failed_parent_run_after_its_retry(system: System, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    root = system.submit("gated", {"gate": str(gate)})
    system.wait_for(root, "running")
    (child,) = submit_batch(system, {"depends_on": [root]})
    (grandchild,) = submit_batch(system, {"depends_on": [child]})

    change(system, f"/tasks/{root}/cancel")
    system.wait_for([root, child, grandchild], "cancelled")

    assert system.task(grandchild)["error"] == f"task {root}, on which it depends, was cancelled"
    gate.touch()
    change(system, f"/tasks/{root}/retry")
    system.wait_for([root, child, grandchild], "succeeded")


def test_paused_queue_starts_no_task_until_resumed(system: System) -> None:
    change(system, "/queues/held/pause")
    held, marker = system.submit("noop", queue="held"), system.submit("noop")

    system.wait_for(marker, "succeeded")

    assert system.task(held)["status"] == "queued"
    change(system, "/queues/held/resume")
    system.wait_for(held, "succeeded")


def test_paused_task_waits_until_resumed(system: System) -> None:
    change(system, "/queues/slow/pause")
    paused, other = system.submit("noop", queue="slow"), system.submit("noop", queue="slow")
    assert change(system, f"/tasks/{paused}/pause")["status"] == "paused"
    change(system, "/queues/slow/resume")

    system.wait_for(other, "succeeded")

    assert system.task(paused)["status"] == "paused"
    change(system, f"/tasks/{paused}/resume")
    system.wait_for(paused, "succeeded")
