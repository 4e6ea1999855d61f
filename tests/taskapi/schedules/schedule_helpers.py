"""Create schedules, and parse their times."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx


def schedule_body(**members: Any) -> dict[str, Any]:
    """Return a valid body with `members`, those that are None left out."""
    body = {"name": "nightly", "cron": "30 2 * * *", "task": {"type": "noop"}, **members}
    return {name: value for name, value in body.items() if value is not None}


async def create_schedule(api: httpx.AsyncClient, **members: Any) -> dict[str, Any]:
    response = await api.post("/schedules", json=schedule_body(**members))
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text)
