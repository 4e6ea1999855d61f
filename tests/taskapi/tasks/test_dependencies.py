"""Submitting tasks that depend on others, alone, in batches and with keys, and listing them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.taskapi.api_helpers import (
    Database,
    count_stored,
    field_errors_of,
    problem_of,
    submit,
    task_body,
)
from tests.taskapi.tasks.dependency_helpers import batch, edges, set_finished


async def test_a_task_waits_for_its_dependencies(api: httpx.AsyncClient, database: Database) -> None:
    done, first, second = [await submit(api) for _ in range(3)]
    set_finished(database, done)

    response = await api.post("/tasks", json=task_body(depends_on=[second, done, first, second]))

    answered = response.json()
    assert (response.status_code, answered["status"]) == (201, "blocked")
    assert answered["available_actions"] == ["cancel", "pause", "delete"]
    assert (await api.get(f"/tasks/{answered['id']}")).json() == answered
    related = (await api.get(f"/tasks/{answered['id']}/dependencies")).json()
    assert [(one["id"], one["status"]) for one in related["items"]] == [
        (done, "succeeded"),
        (first, "queued"),
        (second, "queued"),
    ]
    assert database.execute("SELECT count(*) AS n FROM outbox").fetchone() == {"n": 2}


async def test_a_task_whose_dependencies_have_succeeded_does_not_wait(
    api: httpx.AsyncClient, database: Database
) -> None:
    done = await submit(api)
    set_finished(database, done)

    assert (await api.post("/tasks", json=task_body(depends_on=[done]))).json()["status"] == "queued"
    assert (await api.post("/tasks", json=task_body(depends_on=[]))).json()["status"] == "queued"


async def test_a_task_with_a_failed_dependency_is_cancelled_at_once(api: httpx.AsyncClient, database: Database) -> None:
    failed = await submit(api)
    set_finished(database, failed, "failed")

    response = await api.post("/tasks", json=task_body(depends_on=[failed]))

    answered = response.json()
    assert (response.status_code, answered["status"], answered["reason"]) == (201, "cancelled", "dependency_failed")
    assert answered["error"] == f"task {failed}, on which it depends, failed"
    assert answered["finished_at"] is not None
    problem = problem_of(await api.post(f"/tasks/{answered['id']}/retry"), 409, "dependency_failed")
    assert f"task {failed}" in problem["detail"]


@pytest.mark.parametrize("depends_on", [[0], [-1], ["a"], [1.5], [2**63], [None], "a", 5, list(range(1, 1002))])
async def test_an_invalid_list_of_dependencies_is_refused(
    api: httpx.AsyncClient, database: Database, depends_on: Any
) -> None:
    (field,) = field_errors_of(await api.post("/tasks", json=task_body(depends_on=depends_on)))

    assert field.startswith("depends_on")
    assert count_stored(database) == 0


async def test_an_unknown_dependency_is_refused(api: httpx.AsyncClient, database: Database) -> None:
    known = await submit(api)

    alone = await api.post("/tasks", json=task_body(depends_on=[known, 12345]))
    in_batch = await batch(api, task_body(), task_body(depends_on=[2**63 - 1]))

    assert field_errors_of(alone) == {"depends_on[1]": "there is no task 12345"}
    assert list(field_errors_of(in_batch)) == ["tasks[1].depends_on[0]"]
    assert count_stored(database) == 1


async def test_a_deleted_dependency_counts_if_it_had_succeeded(api: httpx.AsyncClient, database: Database) -> None:
    good, bad = await submit(api), await submit(api)
    set_finished(database, good)
    set_finished(database, bad, "failed")
    for task_id in (good, bad):
        await api.delete(f"/tasks/{task_id}")

    accepted = await api.post("/tasks", json=task_body(depends_on=[good]))
    refused = await api.post("/tasks", json=task_body(depends_on=[good, bad]))

    assert (accepted.status_code, accepted.json()["status"]) == (201, "queued")
    related = (await api.get(f"/tasks/{accepted.json()['id']}/dependencies")).json()
    assert related == {"items": [{"id": good, "name": None, "status": None}], "next_after": None}
    assert "was deleted" in field_errors_of(refused)["depends_on[1]"]


async def test_repeating_a_body_with_dependencies_and_a_key_returns_the_same_task(
    api: httpx.AsyncClient, database: Database
) -> None:
    parent = await submit(api)
    headers = {"Idempotency-Key": "k"}
    bodies = [task_body(depends_on=[parent])] * 4 + [task_body()]

    first, *again, other = [await api.post("/tasks", json=body, headers=headers) for body in bodies]
    await api.post(f"/tasks/{parent}/cancel")
    last = await api.post("/tasks", json=bodies[0], headers=headers)

    assert first.status_code == 201
    assert {(one.status_code, one.json()["id"]) for one in (*again, last)} == {(200, first.json()["id"])}
    problem_of(other, 409, "idempotency_conflict")
    assert len(edges(database)) == 1


async def test_a_task_that_others_wait_for_cannot_be_deleted(api: httpx.AsyncClient) -> None:
    parent = await submit(api)
    await submit(api, depends_on=[parent])

    problem = problem_of(await api.delete(f"/tasks/{parent}"), 409, "has_dependents")

    assert problem["task_status"] == "queued"


async def test_cancelling_a_task_that_others_wait_for_notifies_the_coordinators(
    api: httpx.AsyncClient, database: Database
) -> None:
    parent, other = await submit(api), await submit(api)
    await submit(api, depends_on=[parent])
    database.execute("LISTEN taskcore_dependents")
    await api.post(f"/tasks/{other}/cancel")

    for call in ("cancel", "retry"):
        await api.post(f"/tasks/{parent}/{call}")
        assert await asyncio.to_thread(lambda: list(database.notifies(timeout=30, stop_after=1)))


async def test_dependents_are_paged(api: httpx.AsyncClient) -> None:
    parent = await submit(api)
    children = [await submit(api, depends_on=[parent]) for _ in range(3)]

    first = (await api.get(f"/tasks/{parent}/dependents?limit=2")).json()
    second = (await api.get(f"/tasks/{parent}/dependents?limit=2&after={first['next_after']}")).json()

    assert [one["id"] for one in first["items"] + second["items"]] == children
    assert (first["items"][0]["status"], second["next_after"]) == ("blocked", None)
    assert (await api.get(f"/tasks/{parent}/dependencies")).json() == {"items": [], "next_after": None}


@pytest.mark.parametrize("call", ["dependencies", "dependents"])
async def test_an_unknown_task_has_no_dependencies(api: httpx.AsyncClient, call: str) -> None:
    problem_of(await api.get(f"/tasks/12345/{call}"), 404, "task_not_found")
    for query, field in (("after=-1", "after"), ("limit=1001", "limit"), ("limit=0", "limit"), ("offset=1", "offset")):
        assert list(field_errors_of(await api.get(f"/tasks/12345/{call}?{query}"))) == [field]
