"""What a task's attempts said: pages that neither repeat nor miss a line."""

from __future__ import annotations

import httpx
import pytest

from tests.taskapi.api_helpers import Database, field_errors_of, mark_running, problem_of, submit


def say(database: Database, task_id: int, attempt: int, first: int, last: int) -> None:
    """As a worker's scribe does."""
    database.execute(
        "INSERT INTO task_log (task_id, attempt, line, at, level, message, fields)"
        " SELECT %s, %s, n, now(), 'info', 'line ' || n, jsonb_build_object('n', n) "
        "FROM generate_series(%s::int, %s::int) n",
        [task_id, attempt, first, last],
    )


def places(response: httpx.Response) -> list[tuple[int, int]]:
    assert response.status_code == 200, response.text
    return [(line["attempt"], line["line"]) for line in response.json()["items"]]


async def test_lines_come_oldest_first_attempt_by_attempt(api: httpx.AsyncClient, database: Database) -> None:
    task_id, other = await submit(api), await submit(api)
    say(database, task_id, 2, 1, 1)
    say(database, task_id, 1, 1, 2)
    say(database, other, 1, 1, 1)

    response = await api.get(f"/tasks/{task_id}/logs")

    assert places(response) == [(1, 1), (1, 2), (2, 1)]
    assert response.json()["next_after"] == "2.1"
    assert response.json()["has_more"] is False
    line = response.json()["items"][0]
    assert (line["level"], line["message"], line["fields"]) == ("info", "line 1", {"n": 1})


async def test_pages_continue_where_the_last_one_ended(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    say(database, task_id, 1, 1, 3)
    say(database, task_id, 2, 1, 2)

    first = (await api.get(f"/tasks/{task_id}/logs", params={"limit": 2})).json()
    second = await api.get(f"/tasks/{task_id}/logs", params={"limit": 2, "after": first["next_after"]})

    assert (first["next_after"], first["has_more"]) == ("1.2", True)
    assert places(second) == [(1, 3), (2, 1)]


async def test_a_reader_at_the_end_stays_there_until_more_is_said(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    empty = (await api.get(f"/tasks/{task_id}/logs")).json()
    mark_running(database, task_id)
    say(database, task_id, 1, 1, 1)

    at_end = (await api.get(f"/tasks/{task_id}/logs", params={"after": "1.1"})).json()
    say(database, task_id, 1, 2, 2)
    after = await api.get(f"/tasks/{task_id}/logs", params={"after": at_end["next_after"]})

    assert (empty["items"], empty["next_after"]) == ([], None)
    assert (at_end["items"], at_end["next_after"], at_end["has_more"]) == ([], "1.1", False)
    assert places(after) == [(1, 2)]


async def test_one_attempt_can_be_asked_for(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)
    for attempt in (1, 2, 3):
        say(database, task_id, attempt, 1, 2)

    assert places(await api.get(f"/tasks/{task_id}/logs", params={"attempt": 2})) == [(2, 1), (2, 2)]
    assert places(await api.get(f"/tasks/{task_id}/logs", params={"attempt": 2, "after": "2.1"})) == [(2, 2)]
    assert places(await api.get(f"/tasks/{task_id}/logs", params={"attempt": 2, "after": "3.1"})) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("after", "1"), ("after", "1.1\n"), ("after", "-1.1"), ("after", "1.9999999999"), ("attempt", "-1"),
     ("attempt", str(2**31)), ("limit", "0"), ("limit", "1001")],
)  # fmt: skip
async def test_a_bad_parameter_is_named(api: httpx.AsyncClient, name: str, value: str) -> None:
    task_id = await submit(api)

    assert list(field_errors_of(await api.get(f"/tasks/{task_id}/logs", params={name: value}))) == [name]


async def test_a_task_that_is_not_there_has_no_logs(api: httpx.AsyncClient) -> None:
    problem_of(await api.get("/tasks/12345/logs"), 404, "task_not_found")
