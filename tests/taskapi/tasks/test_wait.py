"""Waiting for a task to finish."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from litestar import Litestar

from harness.waiting import eventually
from taskapi.runtime.services import Services
from tests.taskapi.api_helpers import Database, mark_finished, problem_of, submit

LONG = {"timeout": 60}


async def start_waiting(
    api: httpx.AsyncClient, database: Database, *task_ids: int
) -> list[asyncio.Task[httpx.Response]]:
    """Start calls that wait, and return once the process listens for completions."""
    calls = [asyncio.create_task(api.get(f"/tasks/{task_id}/wait", params=LONG)) for task_id in task_ids]
    await asyncio.to_thread(eventually, lambda: connections(database, "taskapi waiters", "LISTEN taskcore_settled"))
    return calls


def connections(database: Database, name: str, query: str = "%") -> list[dict[str, Any]]:
    """Return the connections of the process to the database of this test."""
    return database.execute(
        "SELECT pid, state_change FROM pg_stat_activity"
        " WHERE application_name = %s AND query LIKE %s AND datname = current_database() ORDER BY pid",
        [name, query],
    ).fetchall()


async def test_a_finished_task_is_returned_at_once(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    mark_finished(database, task_id)

    answered: dict[str, Any] = (await api.get(f"/tasks/{task_id}/wait", params=LONG)).json()

    assert (answered["status"], answered["result"]) == ("succeeded", {"n": 1})


async def test_waiting_requests_return_when_their_task_finishes(api: httpx.AsyncClient, database: Database) -> None:
    first, second, third = [await submit(api) for _ in range(3)]
    calls = await start_waiting(api, database, first, first, second, third)

    mark_finished(database, first, "failed")
    answers = [(await call).json() for call in calls[:2]]
    mark_finished(database, second)
    mark_finished(database, third)

    assert [answer["status"] for answer in answers] == ["failed", "failed"]
    assert [(await call).json()["id"] for call in calls[2:]] == [second, third]


async def test_a_completion_without_a_notification_is_found(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    (call,) = await start_waiting(api, database, task_id)

    database.execute("UPDATE task SET status = 'succeeded', finished_at = now() WHERE id = %s", [task_id])

    assert (await call).json()["status"] == "succeeded"


async def test_after_the_timeout_the_unfinished_task_is_returned(api: httpx.AsyncClient) -> None:
    task_id = await submit(api)

    for timeout in (0, 0.05):
        response = await api.get(f"/tasks/{task_id}/wait", params={"timeout": timeout})

        assert (response.status_code, response.json()["status"]) == (200, "queued")


async def test_a_task_that_is_deleted_meanwhile_is_not_found(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    (call,) = await start_waiting(api, database, task_id)

    await api.delete(f"/tasks/{task_id}")

    assert (await call).status_code == 404


async def test_waiting_survives_the_loss_of_its_connection(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    (call,) = await start_waiting(api, database, task_id)

    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'taskapi%'"
        " AND datname = current_database()"
    )
    mark_finished(database, task_id)

    assert (await call).json()["status"] == "succeeded"


async def test_without_a_waiting_request_there_are_no_queries(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    (call,) = await start_waiting(api, database, task_id)
    mark_finished(database, task_id)
    await call

    await asyncio.to_thread(eventually, lambda: not connections(database, "taskapi waiters"))
    before = connections(database, "taskapi")
    await asyncio.sleep(2.5)

    assert connections(database, "taskapi") == before


async def test_no_more_requests_wait_than_may(api: httpx.AsyncClient, app: Litestar, database: Database) -> None:
    settings = app.state.services.settings.now
    few = settings.model_copy(update={"api": settings.api.model_copy(update={"max_waiting": 2})})
    app.state.services = Services.from_settings(few)
    async with app.state.services.open():
        task_id = await submit(api)
        calls = await start_waiting(api, database, task_id, task_id)

        refused = await api.get(f"/tasks/{task_id}/wait", params=LONG)
        at_once = await api.get(f"/tasks/{task_id}/wait", params={"timeout": 0})
        mark_finished(database, task_id)
        answers = await asyncio.gather(*calls)

    problem_of(refused, 503, "too_many_waiting")
    assert int(refused.headers["retry-after"]) > 0
    assert [answer.status_code for answer in (at_once, *answers)] == [200] * 3
