"""Bodies that come slowly, or that are many and large."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from litestar import Litestar
from pydantic import SecretStr

from taskapi.app import create_app
from taskapi.middleware.bodies import BodyLimits
from taskcore.settings import Settings
from tests.taskapi.api_helpers import problem_of, submit, task_body
from tests.taskapi.conftest import running_app, transport_to

JSON = {"Content-Type": "application/json"}


@asynccontextmanager
async def api_with(app: Litestar, database_url: str, **limits: float) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of an API with these limits. `app` has registered the task types."""
    limited = create_app(Settings(database_url=SecretStr(database_url)), limits=BodyLimits(**limits))  # type: ignore[arg-type]
    transport = transport_to(limited)
    async with running_app(limited), httpx.AsyncClient(transport=transport, base_url="http://api/api/v1") as client:
        yield client


async def stalled(part: bytes) -> AsyncIterator[bytes]:
    yield part
    await asyncio.Event().wait()


async def in_pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("path", ["/tasks", "/tasks/batch", "/tasks/1/cancel", "/schedules"])
async def test_a_body_that_does_not_come_is_not_waited_for(app: Litestar, database_url: str, path: str) -> None:
    async with api_with(app, database_url, grace_s=0.1) as api:
        response = await api.post(path, content=stalled(b'{"name":'), headers=JSON)

    problem_of(response, 408, "body_timeout")
    assert response.headers["connection"] == "close"


async def test_a_body_has_more_time_the_larger_it_is(app: Litestar, database_url: str) -> None:
    body = httpx.Request("POST", "http://api", json=task_body(description="x" * 4_000)).content

    async with api_with(app, database_url, grace_s=0.2, bytes_per_s=1) as api:
        response = await api.post("/tasks", content=in_pieces(body, 100), headers=JSON)

    assert response.status_code == 201


@pytest.mark.parametrize("is_announced", [True, False])
async def test_large_bodies_beyond_their_share_are_refused_and_small_ones_are_not(
    app: Litestar, database_url: str, is_announced: bool
) -> None:
    limits = {"small_bytes": 1_000, "shared_bytes": 5_000, "patience_s": 0.05}
    body = httpx.Request("POST", "http://api", json=task_body(description="x" * 4_000)).content
    headers = JSON | ({"Content-Length": str(len(body))} if is_announced else {})

    async with api_with(app, database_url, **limits) as api:
        stuck = [asyncio.create_task(api.post("/tasks", content=stalled(body[:2_000]), headers=headers)) for _ in "ab"]
        await asyncio.wait(stuck, timeout=0.02)
        refused = await api.post("/tasks", content=in_pieces(body, 1_500), headers=headers)
        await submit(api)
        for one in stuck:
            one.cancel()
        await asyncio.wait(stuck)
        later = await api.post("/tasks", content=in_pieces(body, 1_500), headers=headers)

    problem_of(refused, 503, "too_many_large_bodies")
    assert int(refused.headers["retry-after"]) > 0
    assert later.status_code == 201
