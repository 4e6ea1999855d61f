"""Submission and inspection of dependencies."""

from __future__ import annotations

from typing import Any

import httpx

from tests.taskapi.api_helpers import (
    Database,
    mark_finished,
    mark_running,
)


async def batch(api: httpx.AsyncClient, *tasks: dict[str, Any], **more: Any) -> httpx.Response:
    return await api.post("/tasks/batch", json={"tasks": list(tasks), **more})


def set_finished(database: Database, task_id: int, status: str = "succeeded") -> None:
    mark_running(database, task_id)
    mark_finished(database, task_id, status)


def edges(database: Database) -> list[tuple[int, int]]:
    rows = database.execute("SELECT task_id, depends_on FROM task_dependency ORDER BY 1, 2").fetchall()
    return [(row["task_id"], row["depends_on"]) for row in rows]
