"""Submitting many tasks at once."""

from __future__ import annotations

import httpx

from tests.taskapi.api_helpers import Database, count_stored, field_errors_of, task_body


async def test_ten_thousand_tasks_are_stored_in_order(api: httpx.AsyncClient, database: Database) -> None:
    body = {"tasks": [task_body(name=f"task {n}") for n in range(10_000)]}

    response = await api.post("/tasks/batch", json=body)

    answer = response.json()
    assert response.status_code == 201
    assert (answer["created"], answer["existing"], answer["refused"]) == (10_000, 0, 0)
    assert [result["index"] for result in answer["results"]] == list(range(10_000))
    rows = database.execute("SELECT id, name FROM task ORDER BY id").fetchall()
    assert [row["name"] for row in rows] == [f"task {n}" for n in range(10_000)]
    assert [row["id"] for row in rows] == [result["id"] for result in answer["results"]]
    assert count_stored(database) == 10_000


async def test_one_invalid_task_refuses_the_batch_and_each_error_is_named(
    api: httpx.AsyncClient, database: Database
) -> None:
    bad = [
        task_body(),
        task_body(name=""),
        task_body(type="greet"),
        task_body(type="no_such_type"),
        task_body(priority="high"),
        5,
    ]

    found = field_errors_of(await api.post("/tasks/batch", json={"tasks": bad}))

    assert set(found) == {"tasks[1].name", "tasks[2].parameters", "tasks[3].type", "tasks[4].priority", "tasks[5]"}
    assert count_stored(database) == 0


async def test_without_atomic_the_valid_tasks_are_stored(api: httpx.AsyncClient, database: Database) -> None:
    body = {"tasks": [task_body(), task_body(name=""), task_body(type="no_such_type"), task_body()], "atomic": False}

    response = await api.post("/tasks/batch", json=body)

    answer = response.json()
    assert response.status_code == 201
    assert (answer["created"], answer["refused"]) == (2, 2)
    problems = {r["index"]: r["problem"]["errors"][0]["field"] for r in answer["results"] if "problem" in r}
    assert problems == {1: "tasks[1].name", 2: "tasks[2].type"}
    assert [result["index"] for result in answer["results"]] == [0, 1, 2, 3]
    assert count_stored(database) == 2


async def test_a_batch_without_a_valid_task_is_refused(api: httpx.AsyncClient, database: Database) -> None:
    for atomic in (True, False):
        response = await api.post("/tasks/batch", json={"tasks": [task_body(name="")] * 2, "atomic": atomic})

        assert set(field_errors_of(response)) == {"tasks[0].name", "tasks[1].name"}
    assert count_stored(database) == 0


async def test_a_large_batch_reports_up_to_a_hundred_errors(api: httpx.AsyncClient) -> None:
    assert len(field_errors_of(await api.post("/tasks/batch", json={"tasks": [task_body(name="")] * 5000}))) == 100
    assert len(field_errors_of(await api.post("/tasks/batch", json={"tasks": [task_body(type="greet")] * 5000}))) == 100
