"""Stored events and gaps, and how to read them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import Connection, insert

from taskcore.db.models import K8sGap
from tests.collector_k8s.event_rows import AT


def minutes(count: float) -> datetime:
    return AT + timedelta(minutes=count)


def store_gap(connection: Connection, **members: Any) -> None:
    defaults = {"cluster": "home", "namespace": "", "kind": "lost", "from_at": AT, "until_at": AT}
    connection.execute(insert(K8sGap).values({**defaults, **members}))


async def ask(api: httpx.AsyncClient, path: str = "/events", **query: Any) -> dict[str, Any]:
    response = await api.get(path, params=query)
    assert response.status_code == 200, response.text
    return dict(response.json())


def messages(page: dict[str, Any]) -> list[str]:
    return [item["message"] for item in page["items"]]
