"""Waiting for a task's end."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from harness.waiting import eventually
from tests.taskapi.api_helpers import Database, mark_finished, submit

LONG = {"timeout": 60}


async def waiting(api: httpx.AsyncClient, database: Database, *task_ids: int) -> list[asyncio.Task[httpx.Response]]:
    """Calls that wait, once the process listens for ends."""
    calls = [asyncio.create_task(api.get(f"/tasks/{task_id}/wait", params=LONG)) for task_id in task_ids]
    await asyncio.to_thread(eventually, lambda: connections(database, "taskapi waiters", "LISTEN taskcore_settled"))
    return calls


def connections(database: Database, name: str, query: str = "%") -> list[dict[str, Any]]:
    """The connections of the process to this test's database."""
    return database.execute(
        "SELECT pid, state_change FROM pg_stat_activity"
        " WHERE application_name = %s AND query LIKE %s AND datname = current_database() ORDER BY pid",
        [name, query],
    ).fetchall()


async def test_a_task_that_is_over_is_answered_at_once(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    mark_finished(database, task_id)

    answered: dict[str, Any] = (await api.get(f"/tasks/{task_id}/wait", params=LONG)).json()

    assert (answered["status"], answered["result"]) == ("succeeded", {"n": 1})


async def test_an_end_that_comes_while_somebody_waits_is_answered(api: httpx.AsyncClient, database: Database) -> None:
    first, second, third = [await submit(api) for _ in range(3)]
    calls = await waiting(api, database, first, first, second, third)

    mark_finished(database, first, "failed")
    answers = [(await call).json() for call in calls[:2]]
    mark_finished(database, second)
    mark_finished(database, third)

    assert [answer["status"] for answer in answers] == ["failed", "failed"]
    assert [(await call).json()["id"] for call in calls[2:]] == [second, third]


async def test_an_end_that_nobody_told_is_found(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    (call,) = await waiting(api, database, task_id)

    database.execute("UPDATE task SET status = 'succeeded', finished_at = now() WHERE id = %s", [task_id])

    assert (await call).json()["status"] == "succeeded"


async def test_when_the_time_is_over_the_task_is_answered_as_it_stands(api: httpx.AsyncClient) -> None:
    task_id = await submit(api)

    for timeout in (0, 0.05):
        response = await api.get(f"/tasks/{task_id}/wait", params={"timeout": timeout})

        assert (response.status_code, response.json()["status"]) == (200, "queued")


async def test_a_task_that_is_deleted_meanwhile_is_not_found(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    (call,) = await waiting(api, database, task_id)

    await api.delete(f"/tasks/{task_id}")

    assert (await call).status_code == 404


async def test_waiting_survives_the_loss_of_its_connection(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    (call,) = await waiting(api, database, task_id)

    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'taskapi%'"
        " AND datname = current_database()"
    )
    mark_finished(database, task_id)

    assert (await call).json()["status"] == "succeeded"


async def test_when_nobody_waits_the_process_asks_nothing(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    (call,) = await waiting(api, database, task_id)
    mark_finished(database, task_id)
    await call

    await asyncio.to_thread(eventually, lambda: not connections(database, "taskapi waiters"))
    before = connections(database, "taskapi")
    await asyncio.sleep(2.5)

    assert connections(database, "taskapi") == before
