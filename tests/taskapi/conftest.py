"""The API in this process, on a database of the test with four task types."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import psycopg
import pytest
from litestar import Litestar
from psycopg.rows import dict_row
from pydantic import SecretStr

from taskapi.app import create_app
from taskapi.runtime.services import Services
from taskcore.db.engine import sync_engine
from taskcore.db.workers import workers
from taskcore.settings import Settings

GREET = {
    "type": "object",
    "properties": {
        "whom": {"type": "string", "minLength": 1},
        "times": {"type": "integer", "minimum": 1},
        "to": {"type": "array", "items": {"type": "object", "properties": {"address": {"type": "string"}}}},
    },
    "required": ["whom"],
    "additionalProperties": False,
}
ANYTHING = {"type": "object"}


def register_type(url: str, name: str, schema: dict[str, Any], **more: Any) -> None:
    """Register a task type, like a worker does when it starts."""
    register_types(url, {"name": name, "schema": schema, **more})


def register_types(url: str, *types: dict[str, Any]) -> None:
    defaults = {"description": "", "queue": "default", "retry": {}, "max_attempts": 4}
    engine = sync_engine(url, name="test", pool_size=1)
    with engine.connect() as connection:
        for one in types:  # one by one, since they may have different columns
            connection.execute(workers.register_types([{**defaults, **one}]))
    engine.dispose()


def transport_to(app: Litestar) -> httpx.ASGITransport:
    """Return the transport; httpx's own type of an ASGI application is wider than Litestar's."""
    return httpx.ASGITransport(app=cast("Any", app))


@pytest.fixture(scope="session")
def routes() -> Litestar:
    """Return an application without a database. It is shared, because its routes take long to register."""
    return create_app(Settings(database_url=SecretStr("postgresql://127.0.0.1:1/none")))


@pytest.fixture
def app(routes: Litestar, database_url: str) -> Litestar:
    register_types(
        database_url,
        {"name": "noop", "schema": ANYTHING},
        {"name": "greet", "schema": GREET, "queue": "greetings", "max_attempts": 7, "timeout_s": 90},
        {"name": "stubborn", "schema": ANYTHING, "can_cancel": False},
        {"name": "patient", "schema": ANYTHING, "can_pause": True},
    )
    routes.state.services = Services.from_settings(Settings(database_url=SecretStr(database_url)))
    return routes


@pytest.fixture
async def api(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client whose paths are relative to the base path. An absolute URL reaches the others."""
    transport = transport_to(app)
    async with running_app(app), httpx.AsyncClient(transport=transport, base_url="http://api/api/v1") as client:
        yield client


@asynccontextmanager
async def running_app(app: Litestar) -> AsyncIterator[None]:
    """Run the lifespan of `app` in a task of its own, because the two halves of a fixture run in different tasks."""
    started, done = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            started.set()
            await done.wait()

    life = asyncio.create_task(live())
    await asyncio.wait([life, asyncio.create_task(started.wait())], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield
    finally:
        done.set()
        await life


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """Return a connection to the same database, to check what is stored and to act like a worker."""
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection
