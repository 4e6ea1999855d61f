"""Log lines of a task's attempts: pages neither repeat nor miss a line."""

from __future__ import annotations

import httpx
import pytest

from tests.taskapi.api_helpers import Database, field_errors_of, mark_running, problem_of, submit


def store_lines(database: Database, task_id: int, attempt: int, first: int, last: int) -> None:
    """Store log lines, like a worker does."""
    database.execute(
        "INSERT INTO task_log (task_id, attempt, line, at, level, message, fields)"
        " SELECT %s, %s, n, now(), 'info', 'line ' || n, jsonb_build_object('n', n) "
        "FROM generate_series(%s::int, %s::int) n",
        [task_id, attempt, first, last],
    )


def positions(response: httpx.Response) -> list[tuple[int, int]]:
    assert response.status_code == 200, response.text
    return [(line["attempt"], line["line"]) for line in response.json()["items"]]


async def test_lines_are_oldest_first_attempt_by_attempt(api: httpx.AsyncClient, database: Database) -> None:
    task_id, other = await submit(api), await submit(api)
    store_lines(database, task_id, 2, 1, 1)
    store_lines(database, task_id, 1, 1, 2)
    store_lines(database, other, 1, 1, 1)

    response = await api.get(f"/tasks/{task_id}/logs")

    assert positions(response) == [(1, 1), (1, 2), (2, 1)]
    assert response.json()["next_after"] == "2.1"
    assert response.json()["has_more"] is False
    line = response.json()["items"][0]
    assert (line["level"], line["message"], line["fields"]) == ("info", "line 1", {"n": 1})


async def test_pages_continue_where_the_last_one_ended(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    store_lines(database, task_id, 1, 1, 3)
    store_lines(database, task_id, 2, 1, 2)

    first = (await api.get(f"/tasks/{task_id}/logs", params={"limit": 2})).json()
    second = await api.get(f"/tasks/{task_id}/logs", params={"limit": 2, "after": first["next_after"]})

    assert (first["next_after"], first["has_more"]) == ("1.2", True)
    assert positions(second) == [(1, 3), (2, 1)]


async def test_a_reader_at_the_end_stays_there_until_there_are_more_lines(
    api: httpx.AsyncClient, database: Database
) -> None:
    task_id = await submit(api)
    empty = (await api.get(f"/tasks/{task_id}/logs")).json()
    mark_running(database, task_id)
    store_lines(database, task_id, 1, 1, 1)

    at_end = (await api.get(f"/tasks/{task_id}/logs", params={"after": "1.1"})).json()
    store_lines(database, task_id, 1, 2, 2)
    after = await api.get(f"/tasks/{task_id}/logs", params={"after": at_end["next_after"]})

    assert (empty["items"], empty["next_after"]) == ([], None)
    assert (at_end["items"], at_end["next_after"], at_end["has_more"]) == ([], "1.1", False)
    assert positions(after) == [(1, 2)]


async def test_lines_of_one_attempt_can_be_selected(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    for attempt in (1, 2, 3):
        store_lines(database, task_id, attempt, 1, 2)

    assert positions(await api.get(f"/tasks/{task_id}/logs", params={"attempt": 2})) == [(2, 1), (2, 2)]
    assert positions(await api.get(f"/tasks/{task_id}/logs", params={"attempt": 2, "after": "2.1"})) == [(2, 2)]
    assert positions(await api.get(f"/tasks/{task_id}/logs", params={"attempt": 2, "after": "3.1"})) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("after", "1"), ("after", "1.1\n"), ("after", "-1.1"), ("after", "1.9999999999"), ("attempt", "-1"),
     ("attempt", str(2**31)), ("limit", "0"), ("limit", "1001")],
)  # fmt: skip
async def test_an_invalid_parameter_is_named(api: httpx.AsyncClient, name: str, value: str) -> None:
    task_id = await submit(api)

    assert list(field_errors_of(await api.get(f"/tasks/{task_id}/logs", params={name: value}))) == [name]


async def test_an_unknown_task_has_no_logs(api: httpx.AsyncClient) -> None:
    problem_of(await api.get("/tasks/12345/logs"), 404, "task_not_found")
