"""Idempotency keys: the same key with the same body is the same task."""

from __future__ import annotations

import asyncio

import httpx

from tests.taskapi.api_helpers import Database, count_stored, field_errors_of, problem_of, task_body

KEY = {"Idempotency-Key": "a key"}


async def test_repeating_a_request_returns_the_same_task(api: httpx.AsyncClient, database: Database) -> None:
    first = await api.post("/tasks", json=task_body(parameters={"a": 1, "b": 2}), headers=KEY)
    same = b'{"type": "noop", "priority": 0, "name": "a task", "parameters": {"b": 2, "a": 1}}'

    again = await api.post("/tasks", content=same, headers={**KEY, "Content-Type": "application/json"})

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert first.json()["idempotency_key"] == "a key"
    assert count_stored(database) == 1


async def test_another_body_is_a_conflict(api: httpx.AsyncClient, database: Database) -> None:
    await api.post("/tasks", json=task_body(), headers=KEY)

    response = await api.post("/tasks", json=task_body(priority=1), headers=KEY)

    problem_of(response, 409, "idempotency_conflict")
    assert count_stored(database) == 1


async def test_one_of_several_identical_concurrent_submits_is_stored(
    api: httpx.AsyncClient, database: Database
) -> None:
    for round in range(10):
        headers = {"Idempotency-Key": f"round {round}"}

        responses = await asyncio.gather(*(api.post("/tasks", json=task_body(), headers=headers) for _ in range(8)))

        assert sorted(response.status_code for response in responses) == [200] * 7 + [201]
        assert len({response.json()["id"] for response in responses}) == 1
    assert count_stored(database) == 10


async def test_a_key_is_free_again_once_its_task_is_deleted(api: httpx.AsyncClient) -> None:
    first = (await api.post("/tasks", json=task_body(), headers=KEY)).json()
    await api.delete(f"/tasks/{first['id']}")

    second = await api.post("/tasks", json=task_body(name="another"), headers=KEY)

    assert second.status_code == 201
    assert second.json()["id"] != first["id"]


async def test_repeating_a_batch_returns_the_same_tasks(api: httpx.AsyncClient, database: Database) -> None:
    body = {"tasks": [task_body(name=f"task {n}") for n in range(20)]}

    first = await api.post("/tasks/batch", json=body, headers=KEY)
    again = await api.post("/tasks/batch", json=body, headers=KEY)

    assert (first.status_code, again.status_code) == (201, 200)
    assert (first.json()["created"], again.json()["existing"]) == (20, 20)
    assert [r["id"] for r in again.json()["results"]] == [r["id"] for r in first.json()["results"]]
    assert (await api.get(f"/tasks/{first.json()['results'][7]['id']}")).json()["idempotency_key"] == "a key/7"
    assert count_stored(database) == 20


async def test_a_batch_with_a_conflict_stores_nothing(api: httpx.AsyncClient, database: Database) -> None:
    await api.post("/tasks/batch", json={"tasks": [task_body()]}, headers=KEY)

    response = await api.post("/tasks/batch", json={"tasks": [task_body(priority=1), task_body()]}, headers=KEY)

    problem_of(response, 409, "idempotency_conflict")
    assert count_stored(database) == 1


async def test_a_batch_that_is_not_atomic_stores_the_tasks_without_a_conflict(
    api: httpx.AsyncClient, database: Database
) -> None:
    await api.post("/tasks/batch", json={"tasks": [task_body()]}, headers=KEY)
    body = {"tasks": [task_body(priority=1), task_body()], "atomic": False}

    answer = (await api.post("/tasks/batch", json=body, headers=KEY)).json()

    assert (answer["created"], answer["existing"], answer["refused"]) == (1, 0, 1)
    assert answer["results"][0]["problem"]["code"] == "idempotency_conflict"
    assert count_stored(database) == 2


async def test_a_batch_with_nothing_but_conflicts_is_refused(api: httpx.AsyncClient) -> None:
    await api.post("/tasks/batch", json={"tasks": [task_body()]}, headers=KEY)

    for atomic in (True, False):
        body = {"tasks": [task_body(priority=1)], "atomic": atomic}

        problem_of(await api.post("/tasks/batch", json=body, headers=KEY), 409, "idempotency_conflict")


async def test_one_of_several_identical_concurrent_batches_is_stored(
    api: httpx.AsyncClient, database: Database
) -> None:
    body = {"tasks": [task_body(name=f"task {n}") for n in range(50)]}

    responses = await asyncio.gather(*(api.post("/tasks/batch", json=body, headers=KEY) for _ in range(6)))

    assert sorted(response.json()["created"] for response in responses) == [0] * 5 + [50]
    assert count_stored(database) == 50


async def test_a_key_that_is_too_long_for_a_batch_is_refused(api: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k" * 254}

    response = await api.post("/tasks/batch", json={"tasks": [task_body()]}, headers=headers)

    assert list(field_errors_of(response)) == ["Idempotency-Key"]
