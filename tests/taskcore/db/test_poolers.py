"""Poolers between Taskcore and PostgreSQL, with a real PgBouncer."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url, text

from harness.pgbouncer import running_pgbouncer
from harness.postgres import execute_as
from harness.reaper import Reaper
from taskcore.db import prepared
from taskcore.db.engine import async_engine, sync_engine
from taskcore.db.pooler_check import check_pooler
from taskcore.db.workers import leases
from taskcore.errors import InvalidSettings
from taskcore.settings import Pooler, Settings
from taskstandalone.postgres.roles import OWNER
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


@pytest.fixture
def transaction_url(database_url: str, reaper: Reaper) -> Iterator[str]:
    """Yield the URL of a transaction pooler before a database whose sessions suit Taskcore."""
    suit(database_url)
    with running_pgbouncer(database_url, reaper, "transaction", pool_size=3) as url:
        yield url


@pytest.fixture
def session_url(database_url: str, reaper: Reaper) -> Iterator[str]:
    with running_pgbouncer(database_url, reaper, "session", pool_size=2) as url:
        yield url


def suit(url: str, **settings: str) -> None:
    database = make_url(url).database
    chosen = {"TimeZone": "UTC"} | settings
    execute_as(OWNER, url, *(f"ALTER DATABASE {database} SET {name} TO '{value}'" for name, value in chosen.items()))


def settings_with(url: str, *, direct: str | None = None, pooler: Pooler = "none") -> Settings:
    direct_url = SecretStr(direct) if direct else None
    return Settings(database_url=SecretStr(url), database_direct_url=direct_url, database_pooler=pooler)


def test_a_transaction_pooler_that_is_not_declared_is_refused(transaction_url: str) -> None:
    with pytest.raises(InvalidSettings, match=r"^TASKCORE_DATABASE_URL: .*TASKCORE_DATABASE_POOLER to transaction"):
        check_pooler(settings_with(transaction_url))


def test_every_service_checks_for_poolers_when_it_starts(transaction_url: str) -> None:
    script = "from taskcore.service_main import configure; configure()"  # by a process: it configures logging, too
    environment = {**os.environ, "TASKCORE_DATABASE_URL": transaction_url}

    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)

    assert "InvalidSettings: TASKCORE_DATABASE_URL: a pooler" in done.stderr


def test_a_direct_url_that_leads_to_a_pooler_is_refused(transaction_url: str) -> None:
    other = transaction_url + "?application_name=direct"

    with pytest.raises(InvalidSettings, match=r"^TASKCORE_DATABASE_DIRECT_URL: "):
        check_pooler(settings_with(transaction_url, direct=other, pooler="transaction"))


def test_sessions_that_cannot_be_used_are_refused_with_what_to_run(database_url: str, reaper: Reaper) -> None:
    suit(database_url, intervalstyle="sql_standard", synchronous_commit="off")
    with running_pgbouncer(database_url, reaper, "transaction") as url, pytest.raises(InvalidSettings) as refused:
        check_pooler(settings_with(url, direct=database_url, pooler="transaction"))

    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(str(refused.value).split("\n", 1)[1])
    check_pooler(settings_with(database_url, direct=database_url, pooler="transaction"))


def test_declared_and_direct_connections_are_accepted(database_url: str, transaction_url: str) -> None:
    check_pooler(settings_with(database_url))
    check_pooler(settings_with(transaction_url, direct=database_url, pooler="transaction"))


def test_a_database_that_is_unavailable_is_not_checked() -> None:
    check_pooler(settings_with("postgresql://127.0.0.1:1/none"))


def test_a_session_pooler_needs_no_setting_and_has_our_sessions(session_url: str) -> None:
    check_pooler(settings_with(session_url))
    engine = sync_engine(session_url, name="tests", pool_size=1, options={"enable_seqscan": "off"})
    with engine.connect() as connection:
        row = connection.execute(text("SELECT current_setting('TimeZone'), current_setting('enable_seqscan')")).one()

    assert tuple(row) == ("UTC", "off")
    engine.dispose()


def test_many_clients_share_the_connections_of_a_declared_pooler(transaction_url: str) -> None:
    """Each of them repeats statements more often than a driver needs to prepare them."""
    engines = [sync_engine(transaction_url, name="tests", pool_size=2, pooler="transaction") for _ in range(4)]
    clients = [DatabaseHarness(engine) for engine in engines]

    def work(client: DatabaseHarness) -> int:
        for _ in range(12):
            client.submit(new_task())
            prepared.execute(client.engine, leases.orphaned_attempts(), {})
        return len(client.sql("SELECT id FROM task"))

    with ThreadPoolExecutor(len(clients)) as pool:
        assert max(pool.map(work, clients)) == 12 * len(clients)
    assert asyncio.run(count_tasks(transaction_url)) == 12 * len(clients)
    for engine in engines:
        engine.dispose()


async def count_tasks(url: str) -> int:
    engine = async_engine(url, name="tests", pool_size=1, pooler="transaction")
    async with engine.connect() as connection:
        count = (await connection.execute(text("SELECT count(*) FROM task"))).scalar_one()
    await engine.dispose()
    return int(count)
