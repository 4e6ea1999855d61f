"""Submit tasks, read problems, and change tasks in the database like a worker does."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg

Database = psycopg.Connection[dict[str, Any]]


def task_body(**members: Any) -> dict[str, Any]:
    """Return a valid body with `members`."""
    return {"name": "a task", "type": "noop", **members}


async def submit(api: httpx.AsyncClient, **members: Any) -> int:
    """Submit a task, and return its id."""
    response = await api.post("/tasks", json=task_body(**members))
    assert response.status_code == 201, response.text
    return int(response.json()["id"])


def field_errors_of(response: httpx.Response, status: int = 422) -> dict[str, str]:
    """Return the message of each field of a problem with `status`."""
    problem = problem_of(response, status)
    return {error["field"]: error["message"] for error in problem["errors"]}


def problem_of(response: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """Return the problem, which must have `status` and `code`."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["x-request-id"]
    assert code is None or problem["code"] == code
    return problem


def count_stored(database: Database) -> int:
    """Return the number of tasks, which must be that of history and of outbox rows as well."""
    counts = [database.execute(f"SELECT count(*) AS n FROM {t}").fetchone() for t in ("task", "task_history", "outbox")]
    numbers = {row["n"] for row in counts if row}
    assert len(numbers) == 1, counts
    return int(numbers.pop())


def mark_running(database: Database, task_id: int) -> None:
    """Claim the task, like a worker does."""
    database.execute(
        "UPDATE task SET status = 'running', attempt = attempt + 1, started_at = now(), worker_id = 7 WHERE id = %s",
        [task_id],
    )
    database.execute("DELETE FROM outbox WHERE task_id = %s", [task_id])


def mark_finished(database: Database, task_id: int, status: str = "succeeded") -> None:
    """Settle the task and send the notification, like a worker does."""
    database.execute(
        "UPDATE task SET status = %s, result = '{\"n\": 1}', finished_at = now() WHERE id = %s", [status, task_id]
    )
    database.execute("DELETE FROM outbox WHERE task_id = %s", [task_id])
    database.execute("NOTIFY taskcore_settled")
