"""Pausing and resuming waiting and running tasks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.taskapi.api_helpers import Database, field_errors_of, mark_running, problem_of, submit


def outbox(database: Database) -> list[int]:
    return [row["task_id"] for row in database.execute("SELECT task_id FROM outbox").fetchall()]


async def test_a_waiting_task_is_paused_and_resumed(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)

    paused = await api.post(f"/tasks/{task_id}/pause", json={"reason": "not before noon"})

    assert (paused.status_code, paused.json()["status"]) == (200, "paused")
    assert paused.json()["pause_reason"] == "not before noon"
    assert paused.json()["available_actions"] == ["cancel", "resume", "delete"]
    assert outbox(database) == []
    resumed = await api.post(f"/tasks/{task_id}/resume")
    assert (resumed.status_code, resumed.json()["status"]) == (200, "queued")
    assert (resumed.json()["pause_reason"], resumed.json()["paused_by"]) == (None, None)
    assert outbox(database) == [task_id]
    steps = (await api.get(f"/tasks/{task_id}/history")).json()["items"]
    assert [(step["to_status"], step["details"]) for step in steps] == [
        ("queued", None),
        ("paused", {"reason": "not before noon"}),
        ("queued", None),
    ]


async def test_a_resumed_delayed_task_keeps_its_run_at(api: httpx.AsyncClient, database: Database) -> None:
    run_at = datetime.now(UTC) + timedelta(hours=1)
    task_id = await submit(api, run_at=run_at.isoformat())
    await api.post(f"/tasks/{task_id}/pause")

    resumed = await api.post(f"/tasks/{task_id}/resume")

    assert resumed.json()["status"] == "scheduled"
    row = database.execute("SELECT available_at, is_due FROM outbox").fetchone()
    assert row == {"available_at": run_at, "is_due": False}


async def test_a_paused_task_can_be_cancelled(api: httpx.AsyncClient) -> None:
    task_id = await submit(api)
    await api.post(f"/tasks/{task_id}/pause")

    assert (await api.post(f"/tasks/{task_id}/cancel")).json()["status"] == "cancelled"


async def test_a_running_task_is_asked_to_pause_if_its_type_can(api: httpx.AsyncClient, database: Database) -> None:
    patient, other = await submit(api, type="patient"), await submit(api)
    mark_running(database, patient)
    mark_running(database, other)

    by = {"X-Taskcore-User": "ann"}
    asked = (await api.post(f"/tasks/{patient}/pause", json={"reason": "lunch"}, headers=by)).json()

    assert (asked["status"], asked["pause_requested"]) == ("running", True)
    assert (asked["pause_reason"], asked["paused_by"]) == ("lunch", "user:ann")
    step = (await api.get(f"/tasks/{patient}/history")).json()["items"][-1]
    assert (step["to_status"], step["actor"]) == ("running", "user:ann")
    assert step["details"] == {"pause_requested": True, "reason": "lunch"}
    assert asked["available_actions"] == ["cancel", "resume"]
    problem = problem_of(await api.post(f"/tasks/{other}/pause"), 409, "action_not_available")
    assert (problem["task_status"], "of type noop" in problem["detail"]) == ("running", True)


async def test_a_requested_pause_can_be_withdrawn(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api, type="patient")
    mark_running(database, task_id)
    problem_of(await api.post(f"/tasks/{task_id}/resume"), 409, "action_not_available")
    await api.post(f"/tasks/{task_id}/pause")

    withdrawn = (await api.post(f"/tasks/{task_id}/resume")).json()

    assert (withdrawn["status"], withdrawn["pause_requested"]) == ("running", False)
    assert withdrawn["pause_reason"] is None
    assert withdrawn["available_actions"] == ["cancel", "pause"]


@pytest.mark.parametrize("call", ["pause", "resume"])
async def test_a_refused_pause_or_resume_returns_the_status(api: httpx.AsyncClient, call: str) -> None:
    task_id = await submit(api)
    await api.post(f"/tasks/{task_id}/cancel")

    problem = problem_of(await api.post(f"/tasks/{task_id}/{call}"), 409, "action_not_available")

    assert problem["task_status"] == "cancelled"
    problem_of(await api.post(f"/tasks/12345/{call}"), 404, "task_not_found")


async def test_the_reason_of_a_pause_is_checked(api: httpx.AsyncClient) -> None:
    task_id = await submit(api)

    for path in (f"/tasks/{task_id}/pause", "/queues/default/pause"):
        for reason in ("nul \0", "x" * 1001, 5):
            assert list(field_errors_of(await api.post(path, json={"reason": reason}))) == ["reason"]

    assert (await api.get(f"/tasks/{task_id}")).json()["status"] == "queued"
