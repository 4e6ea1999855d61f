"""Submitting one task."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import httpx

from tests.taskapi.api_helpers import Database, count_stored, field_errors_of, problem_of, submit, task_body
from tests.taskapi.conftest import register_type


async def test_a_submitted_task_is_stored_with_its_history_and_its_outbox_row(
    api: httpx.AsyncClient, database: Database
) -> None:
    response = await api.post("/tasks", json=task_body(parameters={"n": 1}, labels={"team": "blue"}, priority=5))

    answered = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/api/v1/tasks/{answered['id']}"
    assert answered["status"] == "queued"
    assert answered["available_actions"] == ["cancel", "pause", "delete"]
    assert (await api.get(f"/tasks/{answered['id']}")).json() == answered
    assert count_stored(database) == 1


async def test_defaults_come_from_the_type(api: httpx.AsyncClient) -> None:
    answered = (await api.post("/tasks", json=task_body(type="greet", parameters={"whom": "you"}))).json()

    assert answered["queue"] == "greetings"
    assert answered["max_attempts"] == 7
    assert (answered["timeout"], answered["delete_after"]) == (90, None)
    assert answered["priority"] == 0


async def test_a_task_may_have_its_own_timeout_and_retention(api: httpx.AsyncClient, database: Database) -> None:
    answered = (await api.post("/tasks", json=task_body(timeout=0.5, delete_after=0))).json()

    assert (answered["timeout"], answered["delete_after"]) == (0.5, 0)
    assert (await api.get(f"/tasks/{answered['id']}")).json() == answered
    await api.post(f"/tasks/{answered['id']}/cancel")
    assert database.execute("SELECT delete_at = finished_at AS is_due FROM task").fetchone() == {"is_due": True}


async def test_a_task_with_a_later_run_at_is_scheduled(api: httpx.AsyncClient) -> None:
    run_at = datetime.now(UTC) + timedelta(hours=1)

    later = (await api.post("/tasks", json=task_body(run_at=run_at.isoformat()))).json()
    past = (await api.post("/tasks", json=task_body(run_at="2001-01-01T00:00:00+02:00"))).json()

    assert later["status"] == "scheduled"
    assert datetime.fromisoformat(later["run_at"]) == run_at
    assert past["status"] == "queued"
    assert past["run_at"] == "2000-12-31T22:00:00Z"


async def test_an_unknown_type_is_refused(api: httpx.AsyncClient, database: Database) -> None:
    response = await api.post("/tasks", json=task_body(type="never-seen"))

    assert "never-seen" in field_errors_of(response)["type"]
    assert count_stored(database) == 0


async def test_a_type_is_known_as_soon_as_a_worker_has_registered_it(api: httpx.AsyncClient, database_url: str) -> None:
    problem_of(await api.post("/tasks", json=task_body(type="late")), 422)

    register_type(database_url, "late", {"type": "object"})

    assert (await api.post("/tasks", json=task_body(type="late"))).status_code == 201


async def test_parameters_must_match_the_schema_of_the_type(api: httpx.AsyncClient, database: Database) -> None:
    wrong = {"times": 0, "to": [{"address": 5}], "extra": True}

    found = field_errors_of(await api.post("/tasks", json=task_body(type="greet", parameters=wrong)))

    assert set(found) == {"parameters", "parameters.times", "parameters.to[0].address"}
    assert count_stored(database) == 0


async def test_a_type_with_an_invalid_schema_accepts_any_parameters(api: httpx.AsyncClient, database_url: str) -> None:
    register_type(database_url, "broken", {"type": "no such type"})

    assert (await api.post("/tasks", json=task_body(type="broken", parameters={"a": 1}))).status_code == 201


async def test_unknown_members_are_refused(api: httpx.AsyncClient) -> None:
    for member in ("max_tries", "paused"):
        assert member in field_errors_of(await api.post("/tasks", json=task_body(**{member: None})))


async def test_the_request_id_is_returned_and_stored(api: httpx.AsyncClient) -> None:
    response = await api.post("/tasks", json=task_body(), headers={"X-Request-Id": "from.client-1"})

    assert response.headers["x-request-id"] == "from.client-1"
    assert response.json()["request_id"] == "from.client-1"


async def test_an_invalid_request_id_is_replaced(api: httpx.AsyncClient) -> None:
    for given in ("with space", "x" * 129, ""):
        response = await api.post("/tasks", json=task_body(), headers={"X-Request-Id": given})

        assert response.headers["x-request-id"] not in ("", given)
        assert response.json()["request_id"] == response.headers["x-request-id"]


async def test_a_submit_notifies_the_coordinators(api: httpx.AsyncClient, database: Database) -> None:
    database.execute("LISTEN taskcore_outbox")

    await submit(api)
    await asyncio.sleep(0)

    assert next(await asyncio.to_thread(database.notifies, timeout=30, stop_after=1)).channel == "taskcore_outbox"
