"""The database has a task with a status of a newer version, as in the middle of an upgrade."""

from __future__ import annotations

import httpx
import pytest

from harness.postgres import execute_as
from taskstandalone.postgres.roles import OWNER
from tests.taskapi.api_helpers import Database, submit

UNKNOWN = "awaiting_approval"


@pytest.fixture
async def task_id(api: httpx.AsyncClient, database: Database, database_url: str) -> int:
    task_id = await submit(api)
    execute_as(OWNER, database_url, "ALTER TABLE task DROP CONSTRAINT task_status_check")
    database.execute("DELETE FROM outbox")
    database.execute("UPDATE task SET status = %s", [UNKNOWN])
    return task_id


async def test_it_is_shown_as_it_is_and_offers_no_action(api: httpx.AsyncClient, task_id: int) -> None:
    task = (await api.get(f"/tasks/{task_id}")).json()
    (item,) = (await api.get("/tasks")).json()["items"]

    assert (task["status"], task["available_actions"]) == (UNKNOWN, [])
    assert item["status"] == UNKNOWN


async def test_only_the_total_counts_it(api: httpx.AsyncClient, task_id: int) -> None:
    counts = (await api.get("/tasks/status")).json()

    assert counts["total"] == 1
    assert sum(counts.values()) == 1


@pytest.mark.parametrize("action", ["cancel", "pause", "resume", "retry"])
async def test_an_action_on_it_is_refused(api: httpx.AsyncClient, task_id: int, action: str) -> None:
    refused = await api.post(f"/tasks/{task_id}/{action}")

    assert refused.status_code == 409
    assert refused.json()["task_status"] == UNKNOWN


async def test_it_is_not_finished(api: httpx.AsyncClient, task_id: int) -> None:
    dependent = await submit(api, depends_on=[task_id])

    waiting = await api.get(f"/tasks/{task_id}/wait", params={"timeout": 0})

    assert (await api.get(f"/tasks/{dependent}")).json()["status"] == "blocked"
    assert waiting.json()["status"] == UNKNOWN
    (parent,) = (await api.get(f"/tasks/{dependent}/dependencies")).json()["items"]
    assert parent["status"] == UNKNOWN
