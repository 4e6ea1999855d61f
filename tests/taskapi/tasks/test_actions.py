"""Cancel, retry, delete; history and attempts."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.taskapi.api_helpers import Database, field_errors_of, mark_finished, mark_running, problem_of, submit


async def test_a_waiting_task_is_cancelled_with_its_reason(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)

    response = await api.post(f"/tasks/{task_id}/cancel", json={"reason": "not needed"})

    answered = response.json()
    assert response.status_code == 200
    assert (answered["status"], answered["error"]) == ("cancelled", "not needed")
    assert answered["available_actions"] == ["retry", "delete"]
    assert database.execute("SELECT 1 FROM outbox").fetchall() == []


async def test_a_cancel_needs_no_body(api: httpx.AsyncClient) -> None:
    bodies: tuple[dict[str, str] | None, ...] = (None, {})
    for body in bodies:
        response = await api.post(f"/tasks/{await submit(api)}/cancel", json=body)

        assert response.status_code == 200
        assert response.json()["status"] == "cancelled"


async def test_the_reason_of_a_cancel_is_checked(api: httpx.AsyncClient) -> None:
    task_id = await submit(api)

    for reason in ("nul \0", "x" * 1001, 5):
        assert list(field_errors_of(await api.post(f"/tasks/{task_id}/cancel", json={"reason": reason}))) == ["reason"]

    assert (await api.get(f"/tasks/{task_id}")).json()["status"] == "queued"


async def test_a_running_task_is_asked_to_stop(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    mark_running(database, task_id)
    database.execute("LISTEN taskcore_orders")

    response = await api.post(f"/tasks/{task_id}/cancel", json={"reason": "too late"})

    answered = response.json()
    assert response.status_code == 200
    assert (answered["status"], answered["reason"], answered["error"]) == ("cancelling", "cancelled", "too late")
    assert answered["available_actions"] == []
    step = (await api.get(f"/tasks/{task_id}/history")).json()["items"][-1]
    assert (step["from_status"], step["to_status"], step["actor"]) == ("running", "cancelling", "api")
    assert step["details"] == {"reason": "too late"}
    assert list(await asyncio.to_thread(lambda: list(database.notifies(timeout=30, stop_after=1))))
    problem = problem_of(await api.post(f"/tasks/{task_id}/cancel"), 409, "action_not_available")
    assert problem["task_status"] == "cancelling"


async def test_a_running_task_whose_type_cannot_be_stopped_is_not_cancelled(
    api: httpx.AsyncClient, database: Database
) -> None:
    task_id = await submit(api, type="stubborn")
    waits = (await api.get(f"/tasks/{task_id}")).json()
    mark_running(database, task_id)

    problem = problem_of(await api.post(f"/tasks/{task_id}/cancel"), 409, "action_not_available")

    assert waits["available_actions"] == ["cancel", "pause", "delete"]
    assert (problem["task_status"], "of type stubborn" in problem["detail"]) == ("running", True)
    assert (await api.get(f"/tasks/{task_id}")).json()["available_actions"] == []
    assert (await api.get("/tasks")).json()["items"][0]["available_actions"] == []


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
async def test_a_finished_task_cannot_be_cancelled(api: httpx.AsyncClient, database: Database, status: str) -> None:
    task_id = await submit(api)
    mark_running(database, task_id)
    mark_finished(database, task_id, status)

    problem = problem_of(await api.post(f"/tasks/{task_id}/cancel"), 409, "action_not_available")

    assert problem["task_status"] == status


async def test_a_failed_task_is_queued_again(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    mark_running(database, task_id)
    mark_finished(database, task_id, "failed")
    database.execute("LISTEN taskcore_outbox")

    response = await api.post(f"/tasks/{task_id}/retry")

    assert response.status_code == 200
    assert (response.json()["status"], response.json()["result"]) == ("queued", None)
    assert database.execute("SELECT task_id FROM outbox").fetchall() == [{"task_id": task_id}]
    assert list(await asyncio.to_thread(lambda: list(database.notifies(timeout=30, stop_after=1))))


async def test_a_waiting_task_cannot_be_retried(api: httpx.AsyncClient) -> None:
    problem = problem_of(await api.post(f"/tasks/{await submit(api)}/retry"), 409, "action_not_available")

    assert problem["task_status"] == "queued"


async def test_a_deleted_task_leaves_its_history(api: httpx.AsyncClient) -> None:
    task_id = await submit(api)

    response = await api.delete(f"/tasks/{task_id}")

    assert (response.status_code, response.content) == (204, b"")
    problem_of(await api.get(f"/tasks/{task_id}"), 404, "task_not_found")
    history = (await api.get(f"/tasks/{task_id}/history")).json()["items"]
    assert [(entry["from_status"], entry["to_status"], entry["actor"]) for entry in history] == [
        (None, "queued", "api"),
        ("queued", None, "api"),
    ]


async def test_a_running_task_cannot_be_deleted(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    mark_running(database, task_id)

    assert problem_of(await api.delete(f"/tasks/{task_id}"), 409, "action_not_available")["task_status"] == "running"


@pytest.mark.parametrize(("method", "call"), [("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")])
async def test_an_unknown_task_cannot_be_changed(api: httpx.AsyncClient, method: str, call: str) -> None:
    problem_of(await api.request(method, f"/tasks/12345{call}"), 404, "task_not_found")


async def test_one_of_several_concurrent_cancels_succeeds(api: httpx.AsyncClient) -> None:
    task_id = await submit(api)

    responses = await asyncio.gather(*(api.post(f"/tasks/{task_id}/cancel") for _ in range(8)))

    assert sorted(response.status_code for response in responses) == [200] + [409] * 7


async def test_attempts_are_the_finished_ones_and_the_running_one(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    database.execute(
        "INSERT INTO task_attempt (task_id, attempt, worker_id, started_at, finished_at, outcome, error)"
        " VALUES (%s, 1, 3, now(), now(), 'failed', 'no luck')",
        [task_id],
    )
    database.execute("UPDATE task SET attempt = 1 WHERE id = %s", [task_id])
    waiting = (await api.get(f"/tasks/{task_id}/attempts")).json()["items"]
    mark_running(database, task_id)

    running = (await api.get(f"/tasks/{task_id}/attempts")).json()["items"]

    assert [(item["attempt"], item["outcome"], item["error"]) for item in waiting] == [(1, "failed", "no luck")]
    assert [(item["attempt"], item["outcome"], item["worker_id"]) for item in running] == [
        (1, "failed", 3),
        (2, None, 7),
    ]
