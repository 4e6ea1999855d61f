"""Ids and numbers are ASCII digits wherever they stand: nothing else may be taken for them."""

from __future__ import annotations

import httpx
import pytest

from tests.taskapi.api_helpers import field_errors_of, problem_of, submit, task_body

#: Each is 1 to Python.
ODD = ["0_1", "\N{ARABIC-INDIC DIGIT ONE}", "\N{FULLWIDTH DIGIT ONE}", "+1", "%201", "1%20", "01", "1%0A", "0x1", "1.0"]


@pytest.mark.parametrize("odd", ODD)
async def test_an_id_in_the_path_is_plain_digits(api: httpx.AsyncClient, odd: str) -> None:
    await submit(api)

    for path in (f"/tasks/{odd}", f"/tasks/{odd}/history", f"/schedules/{odd}", f"http://api/tasks/{odd}/trace"):
        problem_of(await api.get(path), 404, "not_found")
    problem_of(await api.post(f"/tasks/{odd}/cancel"), 404, "not_found")
    problem_of(await api.delete(f"/tasks/{odd}"), 404, "not_found")
    problem_of(await api.post(f"/alerts/{odd}/resolve"), 404, "not_found")


@pytest.mark.parametrize("odd", ["0_1", "\N{ARABIC-INDIC DIGIT ONE}", "+1", " 1", "1 ", "1\n", "0x1"])
@pytest.mark.parametrize(
    "path",
    [
        "/tasks?limit=",
        "/tasks?offset=",
        "/tasks/1/history?after=",
        "/tasks/1/logs?attempt=",
        "/tasks/1/logs?after=1.",
        "/tasks/1/wait?timeout=",
        "/tasks/1/dependents?after=",
        "/schedules?after=",
        "/events?after=1.",
        "/alerts?after=",
    ],
)
async def test_a_number_in_the_query_is_plain_digits(api: httpx.AsyncClient, path: str, odd: str) -> None:
    await submit(api)
    url, _, query = path.partition("?")
    name, _, start = query.partition("=")

    assert name in field_errors_of(await api.get(url, params={name: start + odd}))


@pytest.mark.parametrize("odd", ["1", "\N{ARABIC-INDIC DIGIT ONE}", 1.5, True])
async def test_an_id_in_a_body_is_a_number(api: httpx.AsyncClient, odd: object) -> None:
    await submit(api)

    (field,) = field_errors_of(await api.post("/tasks", json=task_body(depends_on=[odd])))

    assert field.startswith("depends_on")
