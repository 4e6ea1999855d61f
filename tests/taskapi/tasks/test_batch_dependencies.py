"""Dependencies within a batch, by ref, and their repetition with an idempotency key."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.taskapi.api_helpers import (
    Database,
    count_stored,
    field_errors_of,
    submit,
    task_body,
)
from tests.taskapi.tasks.dependency_helpers import batch, edges, set_finished


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
