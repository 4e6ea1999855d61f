"""The database stops, restarts or falls silent: no call hangs, and all work again without a restart of the API."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress

import httpx
import psycopg
import pytest
from litestar import Litestar
from pydantic import SecretStr

from harness.postgres import PostgresServer, execute_as
from taskapi.app import create_app
from taskapi.health import ApiHealth
from taskapi.runtime.services import Services
from taskcore.db import migrations
from taskcore.settings import Settings
from taskstandalone.postgres.cluster import SUPERUSER
from tests.taskapi.api_helpers import problem_of, submit, task_body
from tests.taskapi.conftest import ANYTHING, register_type, running_app, transport_to


@pytest.fixture
def app(private_postgres: PostgresServer) -> Litestar:
    """Return the API on a database that can be stopped."""
    migrations.upgrade(private_postgres.url)
    register_type(private_postgres.url, "noop", ANYTHING)
    return create_app(Settings(database_url=SecretStr(private_postgres.url)))


@pytest.fixture
async def api(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    transport = transport_to(app)
    async with running_app(app), httpx.AsyncClient(transport=transport, base_url="http://api/api/v1") as client:
        yield client


async def refuse_with_patience(api: httpx.AsyncClient) -> None:
    """Check that every call is a 503 that says when to try again."""
    calls = [
        api.post("/tasks", json=task_body()),
        api.post("/tasks/batch", json={"tasks": [task_body()] * 3}),
        api.post("/tasks/batch", json={"tasks": [task_body()] * 3}, headers={"Idempotency-Key": "k"}),
        api.get("/tasks"),
        api.get("/tasks/1"),
        api.get("/tasks/1/wait"),
        api.post("/tasks/1/cancel"),
        api.delete("/tasks/1"),
        api.get("/task-types"),
        api.get("/queues"),
    ]
    for response in await asyncio.gather(*calls):
        problem_of(response, 503, "database_unavailable")
        assert int(response.headers["retry-after"]) > 0


async def is_ready(app: Litestar) -> bool:
    """Ask like the health server does: from another thread."""
    services: Services = app.state.services
    health = ApiHealth(services, services.database, asyncio.get_running_loop())
    return await asyncio.to_thread(health.is_ready)


async def test_calls_work_again_after_the_database_was_stopped(
    api: httpx.AsyncClient, app: Litestar, private_postgres: PostgresServer
) -> None:
    before = await submit(api)

    private_postgres.stop()
    await refuse_with_patience(api)
    assert not await is_ready(app)

    private_postgres.start()
    assert (await api.get(f"/tasks/{before}")).json()["id"] == before
    assert await is_ready(app)
    assert await submit(api) > before


async def test_the_process_starts_while_the_database_is_unavailable(private_postgres: PostgresServer) -> None:
    migrations.upgrade(private_postgres.url)
    register_type(private_postgres.url, "noop", ANYTHING)
    private_postgres.stop()
    app = create_app(Settings(database_url=SecretStr(private_postgres.url)))
    transport = transport_to(app)
    async with running_app(app), httpx.AsyncClient(transport=transport, base_url="http://api/api/v1") as api:
        await refuse_with_patience(api)

        private_postgres.start()

        assert await submit(api)


async def test_no_read_fails_after_a_restart(api: httpx.AsyncClient, private_postgres: PostgresServer) -> None:
    task_id = await submit(api)
    await asyncio.gather(*(api.get(f"/tasks/{task_id}") for _ in range(30)))

    private_postgres.restart("immediate")
    responses = await asyncio.gather(*(api.get(f"/tasks/{task_id}") for _ in range(30)))

    assert {response.status_code for response in responses} == {200}


async def test_after_a_restart_no_more_writes_fail_than_there_were_connections(
    api: httpx.AsyncClient, private_postgres: PostgresServer
) -> None:
    await asyncio.gather(*(submit(api) for _ in range(30)))

    private_postgres.restart("immediate")
    responses = [await api.post("/tasks", json=task_body()) for _ in range(10)]

    assert [response.status_code for response in responses[1:]] == [201] * 9


async def test_a_waiting_request_survives_a_restart(api: httpx.AsyncClient, private_postgres: PostgresServer) -> None:
    task_id = await submit(api)
    call = asyncio.create_task(api.get(f"/tasks/{task_id}/wait", params={"timeout": 60}))
    await asyncio.sleep(0.5)

    private_postgres.restart("immediate")
    with psycopg.connect(private_postgres.url, autocommit=True) as connection:
        connection.execute("UPDATE task SET status = 'succeeded' WHERE id = %s", [task_id])

    assert (await call).json()["status"] == "succeeded"


async def test_a_silent_database_is_not_ready(
    api: httpx.AsyncClient, app: Litestar, private_postgres: PostgresServer
) -> None:
    assert await is_ready(app)
    with psycopg.connect(private_postgres.url) as connection:
        find = "SELECT pid FROM pg_stat_activity WHERE application_name = 'taskapi'"
        backends = [pid for (pid,) in connection.execute(find)]
    for pid in backends:
        os.kill(pid, signal.SIGSTOP)

    try:
        assert not await is_ready(app)
    finally:
        for pid in backends:
            os.kill(pid, signal.SIGCONT)
    assert await is_ready(app)


async def test_a_database_without_free_connections_is_unavailable(
    api: httpx.AsyncClient, private_postgres: PostgresServer
) -> None:
    with ExitStack() as others:
        with suppress(psycopg.OperationalError):
            while True:
                others.enter_context(psycopg.connect(private_postgres.url))

        await refuse_with_patience(api)

    assert await submit(api)


async def test_a_database_without_our_tables_is_not_ready(private_postgres: PostgresServer) -> None:
    app = create_app(Settings(database_url=SecretStr(private_postgres.url)))
    transport = transport_to(app)
    async with running_app(app), httpx.AsyncClient(transport=transport, base_url="http://api/api/v1") as api:
        await refuse_with_patience(api)

        migrations.upgrade(private_postgres.url)
        register_type(private_postgres.url, "noop", ANYTHING)

        assert await is_ready(app)
        assert await submit(api)


async def test_a_standby_accepts_no_task(api: httpx.AsyncClient, private_postgres: PostgresServer) -> None:
    await submit(api)
    execute_as(SUPERUSER, private_postgres.url, "ALTER SYSTEM SET default_transaction_read_only = on")
    private_postgres.restart()
    await api.get("/tasks")

    response = await api.post("/tasks", json=task_body())

    problem_of(response, 503, "database_unavailable")
