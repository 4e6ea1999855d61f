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
    mark_finished,
    mark_running,
    problem_of,
    submit,
    task_body,
)


async def batch(api: httpx.AsyncClient, *tasks: dict[str, Any], **more: Any) -> httpx.Response:
    return await api.post("/tasks/batch", json={"tasks": list(tasks), **more})


def set_finished(database: Database, task_id: int, status: str = "succeeded") -> None:
    mark_running(database, task_id)
    mark_finished(database, task_id, status)


def edges(database: Database) -> list[tuple[int, int]]:
    rows = database.execute("SELECT task_id, depends_on FROM task_dependency ORDER BY 1, 2").fetchall()
    return [(row["task_id"], row["depends_on"]) for row in rows]


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


async def test_tasks_of_a_batch_depend_on_each_other_by_ref(api: httpx.AsyncClient, database: Database) -> None:
    outside = await submit(api)

    response = await batch(
        api,
        task_body(name="last", depends_on=["left", "right"]),
        task_body(name="left", ref="left", depends_on=["first", outside]),
        task_body(name="right", ref="right", depends_on=["first"]),
        task_body(name="first", ref="first"),
    )

    assert response.status_code == 201
    results = response.json()["results"]
    assert [result["index"] for result in results] == [0, 1, 2, 3]
    last, left, right, first = (result["id"] for result in results)
    assert first < left < last
    assert first < right < last
    assert edges(database) == sorted([(last, left), (last, right), (left, first), (left, outside), (right, first)])
    rows = database.execute("SELECT id, status, dependents_state FROM task").fetchall()
    assert {row["id"]: (row["status"], row["dependents_state"]) for row in rows} == {
        outside: ("queued", "pending"),
        first: ("queued", "pending"),
        left: ("blocked", "pending"),
        right: ("blocked", "pending"),
        last: ("blocked", None),
    }


async def test_a_task_that_is_cancelled_at_once_cancels_its_dependents_in_the_batch(
    api: httpx.AsyncClient, database: Database
) -> None:
    failed = await submit(api)
    set_finished(database, failed, "failed")

    response = await batch(
        api,
        task_body(ref="a", depends_on=[failed]),
        task_body(ref="b", depends_on=["a"]),
        task_body(ref="c"),
        task_body(depends_on=["c"]),
    )

    assert response.status_code == 201
    rows = database.execute(
        "SELECT status, error, dependents_state FROM task WHERE id <> %s ORDER BY id", [failed]
    ).fetchall()
    assert [row["status"] for row in rows] == ["cancelled", "cancelled", "queued", "blocked"]
    assert rows[1]["error"] == f"task {failed}, on which it depends, failed"
    assert [row["dependents_state"] for row in rows] == ["resolved", None, "pending", None]


@pytest.mark.parametrize(
    ("tasks", "fields"),
    [
        ([{"depends_on": ["a"]}], ["tasks[0].depends_on[0]"]),
        ([{"ref": "a", "depends_on": ["a"]}], ["tasks[0].depends_on[0]"]),
        (
            [{"ref": "a", "depends_on": ["b"]}, {"ref": "b", "depends_on": ["c", "a"]}, {"ref": "c"}],
            ["tasks[0].depends_on[0]", "tasks[1].depends_on[1]"],
        ),
        ([{"ref": "a"}, {"ref": "a"}], ["tasks[1].ref"]),
        ([{"ref": ""}], ["tasks[0].ref"]),
        ([{"ref": 5}], ["tasks[0].ref"]),
        ([{"ref": "a", "name": ""}, {"depends_on": ["a"]}], ["tasks[0].name", "tasks[1].depends_on[0]"]),
    ],
)
async def test_unknown_refs_and_cycles_are_named(
    api: httpx.AsyncClient, database: Database, tasks: list[dict[str, Any]], fields: list[str]
) -> None:
    assert sorted(field_errors_of(await batch(api, *(task_body(**members) for members in tasks)))) == fields
    assert count_stored(database) == 0


async def test_a_ref_is_not_valid_outside_of_a_batch(api: httpx.AsyncClient) -> None:
    assert list(field_errors_of(await api.post("/tasks", json=task_body(ref="a")))) == ["ref"]


async def test_without_atomic_the_dependents_of_a_refused_task_are_refused(
    api: httpx.AsyncClient, database: Database
) -> None:
    tasks = [
        task_body(ref="circle", depends_on=["round"]),
        task_body(ref="round", depends_on=["circle"]),
        task_body(depends_on=["circle"]),
        task_body(ref="bad", depends_on=[999_999]),
        task_body(depends_on=["bad"]),
        task_body(ref="good"),
        task_body(depends_on=["good"]),
    ]

    answer = (await batch(api, *tasks, atomic=False)).json()

    assert (answer["created"], answer["refused"]) == (2, 5)
    problems = {result["index"]: result["problem"]["errors"][0]["field"] for result in answer["results"][:5]}
    assert problems == {index: f"tasks[{index}].depends_on[0]" for index in range(5)}
    assert len(edges(database)) == 1


async def test_too_many_dependencies_in_one_batch_are_refused(api: httpx.AsyncClient) -> None:
    known = await submit(api)

    response = await batch(api, *(task_body(depends_on=[known] * 1000) for _ in range(101)))

    assert list(field_errors_of(response)) == ["tasks"]


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


async def test_repeating_a_batch_with_dependencies_and_a_key_returns_the_same_tasks(
    api: httpx.AsyncClient, database: Database
) -> None:
    body = {"tasks": [task_body(depends_on=["a"]), task_body(ref="a"), task_body(depends_on=["a"])]}
    headers = {"Idempotency-Key": "k"}

    responses = await asyncio.gather(*(api.post("/tasks/batch", json=body, headers=headers) for _ in range(5)))

    assert sorted(response.status_code for response in responses) == [200] * 4 + [201]
    assert len({tuple(result["id"] for result in response.json()["results"]) for response in responses}) == 1
    assert len(edges(database)) == 2


async def test_a_batch_that_extends_a_previous_one_depends_on_its_tasks(
    api: httpx.AsyncClient, database: Database
) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await api.post("/tasks/batch", json={"tasks": [task_body(ref="a")]}, headers=headers)

    second = await api.post(
        "/tasks/batch", json={"tasks": [task_body(ref="a"), task_body(depends_on=["a"])]}, headers=headers
    )

    (there,), (again, child) = ([result["id"] for result in response.json()["results"]] for response in (first, second))
    assert again == there
    assert edges(database) == [(child, there)]


async def test_ten_thousand_tasks_in_a_chain_are_stored_in_their_order(
    api: httpx.AsyncClient, database: Database
) -> None:
    chain = [task_body(ref=str(n), depends_on=[str(n - 1)] if n else []) for n in range(10_000)]

    response = await batch(api, *reversed(chain))

    assert (response.status_code, response.json()["created"]) == (201, 10_000)
    assert database.execute(
        "SELECT count(*) AS n, bool_and(task_id > depends_on) AS grows FROM task_dependency"
    ).fetchone() == {"n": 9_999, "grows": True}


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
