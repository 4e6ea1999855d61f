"""Connections to PostgreSQL as people have it: names with any character, and any defaults of database and role."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import ReadOnlySqlTransaction
from sqlalchemy import Engine, ExceptionContext, make_url, text
from sqlalchemy.exc import DBAPIError

from harness.postgres import PostgresDatabases, as_role
from harness.waiting import eventually
from taskcore.db import migrations, prepared
from taskcore.db.connections import connect, driver_parameters
from taskcore.db.engine import (
    KEY_LOOKUP_OPTIONS,
    LEAVE_INTERVAL_S,
    ReadOnlyServers,
    async_engine,
    is_database_unavailable,
    sync_engine,
)
from taskcore.db.notify import SETTINGS, Listener, notify
from taskcore.db.tasks.queries import read_nothing
from taskcore.leasing.control_listener import ControlListener
from taskstandalone.postgres.cluster import SUPERUSER
from tests.taskcore.db.db_harness import DatabaseHarness, new_task

ODD_NAME = "my tasks % + @ : / ? # & = ' \" \\ ü"


def execute(url: str, statement: str, *names: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def read(engine: Engine, statement: str) -> Any:
    with engine.connect() as connection:
        return connection.execute(text(statement)).scalar_one()


def alter_database(url: str, **settings: str) -> None:
    for name, value in settings.items():
        execute(url, f"ALTER DATABASE {{}} SET {name} = {value}", make_url(url).database or "")


def with_query(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}"


@pytest.fixture
def odd_url(postgres_server: PostgresDatabases) -> Iterator[str]:
    """Yield the URL of an empty database whose name, as that of its user, has every special character."""
    execute(postgres_server.superuser_url, "CREATE ROLE {} SUPERUSER LOGIN PASSWORD 'unused'", ODD_NAME)
    execute(postgres_server.superuser_url, "CREATE DATABASE {} OWNER {}", ODD_NAME, ODD_NAME)
    odd, server = quote(ODD_NAME, safe=""), make_url(postgres_server.superuser_url)
    parameters = {"host": server.host, "port": server.port, **server.query}
    yield f"postgresql://{odd}:{odd}@/{odd}?" + "&".join(f"{n}={quote(str(v))}" for n, v in parameters.items() if v)
    execute(postgres_server.superuser_url, "DROP DATABASE {} WITH (FORCE)", ODD_NAME)
    execute(postgres_server.superuser_url, "DROP ROLE {}", ODD_NAME)


def test_everything_connects_whatever_characters_the_names_have(odd_url: str) -> None:
    migrations.upgrade(odd_url)
    engine = sync_engine(odd_url, name="tests", pool_size=1)
    assert read(engine, "SELECT current_user || current_database()") == ODD_NAME * 2

    worker = DatabaseHarness(engine).register_worker()
    signal = ControlListener(odd_url, worker, on_wake=lambda: None)
    signal.start()
    asyncio.run(hears_a_notification(odd_url))
    eventually(lambda: signal.is_connected)

    signal.stop()
    engine.dispose()


async def hears_a_notification(url: str) -> None:
    heard = asyncio.Event()
    listening = asyncio.create_task(Listener(url, SETTINGS, name="tests", on_wake=heard.set).run())
    engine = async_engine(url, name="tests", pool_size=1)
    async with asyncio.timeout(60), engine.connect() as connection:
        await heard.wait()  # it listens
        heard.clear()
        await connection.execute(notify(SETTINGS))
        await heard.wait()
    listening.cancel()
    await engine.dispose()


@pytest.fixture
def hostile_url(empty_database_url: str) -> str:
    """Return the URL of an empty database whose defaults are those that would do the most harm."""
    execute(empty_database_url, "CREATE SCHEMA tasks")
    alter_database(
        empty_database_url,
        DateStyle="'SQL, DMY'",
        IntervalStyle="iso_8601",
        TimeZone="'America/New_York'",
        search_path="tasks, public",
        default_transaction_isolation="serializable",
        client_encoding="latin1",
        standard_conforming_strings="off",
        synchronous_commit="off",
        jit="on",
    )
    return empty_database_url


def test_no_default_of_a_database_changes_what_is_stored_and_read(hostile_url: str) -> None:
    migrations.upgrade(hostile_url)
    migrations.check(hostile_url)
    engine = sync_engine(hostile_url, name="tests", pool_size=1, options=KEY_LOOKUP_OPTIONS)
    db = DatabaseHarness(engine)
    run_at = datetime(2030, 3, 2, 1, tzinfo=UTC)

    db.submit(new_task(name="grün €", parameters={"text": "a\\b'c"}, run_at=run_at))

    (row,) = db.sql("SELECT name, parameters, run_at, timedelta FROM task, make_interval(secs => 90061) AS timedelta")
    assert (row.name, row.parameters, row.run_at) == ("grün €", {"text": "a\\b'c"}, run_at)
    assert row.run_at.tzinfo == UTC or row.run_at.utcoffset() == timedelta(0)
    assert row.timedelta == timedelta(days=1, hours=1, minutes=1, seconds=1)
    assert read(engine, "SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = 'task'::regclass") == "tasks"
    assert prepared.execute(engine, read_nothing(), {}) is not None
    engine.dispose()


SESSION = ("jit", "synchronous_commit", "default_transaction_isolation", "client_encoding", "enable_seqscan")


def session_of(url: str, names: tuple[str, ...]) -> Mapping[str, str]:
    """Return what new sessions have, which both kinds of engines agree on."""
    statement = text(f"SELECT {', '.join(f'current_setting({name!r}) AS {name}' for name in names)}")

    async def ask_async() -> Mapping[str, str]:
        engine = async_engine(url, name="tests", pool_size=1, options=KEY_LOOKUP_OPTIONS)
        async with engine.connect() as connection:
            row = (await connection.execute(statement)).mappings().one()
        await engine.dispose()
        return dict(row)

    engine = sync_engine(url, name="tests", pool_size=1, options=KEY_LOOKUP_OPTIONS)
    with engine.connect() as connection:
        session = dict(connection.execute(statement).mappings().one())
    engine.dispose()
    assert session == asyncio.run(ask_async())
    return session


def test_each_session_has_what_our_promises_need(hostile_url: str) -> None:
    assert session_of(hostile_url, SESSION) == {
        "jit": "off",
        "synchronous_commit": "on",
        "default_transaction_isolation": "read committed",
        "client_encoding": "UTF8",
        "enable_seqscan": "off",
    }


def test_a_server_that_waits_for_its_standbys_to_apply_keeps_waiting(empty_database_url: str) -> None:
    alter_database(empty_database_url, synchronous_commit="remote_apply")

    assert session_of(empty_database_url, ("synchronous_commit",)) == {"synchronous_commit": "remote_apply"}


def test_options_of_the_url_are_merged_with_ours(empty_database_url: str) -> None:
    database_url = as_role(SUPERUSER, empty_database_url)  # it may take any role
    execute(database_url, "CREATE SCHEMA tasks")
    options = "-csearch_path=tasks -c role=pg_monitor --statement-timeout=7s -c jit=on -c DateStyle=German"

    session = session_of(
        with_query(database_url, f"options={quote(options)}"),
        ("search_path", "role", "statement_timeout", "jit", "datestyle", "enable_seqscan"),
    )

    assert session == {
        "search_path": "tasks",
        "role": "pg_monitor",
        "statement_timeout": "7s",
        "jit": "on",
        "datestyle": "ISO, MDY",  # without it, no time could be read
        "enable_seqscan": "off",
    }


def test_a_timeout_in_the_url_wins_over_that_of_a_process(empty_database_url: str) -> None:
    url = with_query(empty_database_url, "options=-cstatement_timeout%3D7s")
    engine = sync_engine(url, name="tests", pool_size=1, statement_deadline_s=30)

    assert read(engine, "SHOW statement_timeout") == "7s"
    engine.dispose()


def test_connections_of_their_own_notice_a_server_that_vanished(empty_database_url: str) -> None:
    with connect(with_query(empty_database_url, "keepalives_idle=60"), name="tests") as connection:
        parameters = connection.info.get_parameters()

    assert (parameters["keepalives_idle"], parameters["tcp_user_timeout"]) == ("60", "15000")


def create_directly(engine: Engine) -> Any:
    return prepared.execute(engine, text("CREATE TABLE refused ()"), {})


def create_through_the_engine(engine: Engine) -> Any:
    return read(engine, "CREATE TABLE refused ()")


@pytest.mark.parametrize("write", [create_directly, create_through_the_engine])
def test_a_server_that_refuses_writes_is_left(database_url: str, write: Callable[[Engine], Any]) -> None:
    engine = sync_engine(database_url, name="tests", pool_size=1)
    first = read(engine, "SELECT pg_backend_pid()")
    read(engine, "SELECT set_config('default_transaction_read_only', 'on', false)")

    with pytest.raises(DBAPIError) as refused:
        write(engine)

    assert is_database_unavailable(refused.value)
    assert read(engine, "SELECT pg_backend_pid()") != first
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://h1,h2/db", "read-write"),
        ("postgresql://h1,h2/db?target_session_attrs=any", "any"),
        ("postgresql://h1/db", None),
    ],
)
def test_of_several_hosts_the_primary_is_used_unless_the_url_says_otherwise(url: str, expected: str | None) -> None:
    assert driver_parameters(url, name="tests").get("target_session_attrs") == expected


def test_hundreds_of_refused_writes_connect_again_once_a_second() -> None:
    now = [100.0]
    servers = ReadOnlyServers(lambda: now[0])

    def is_left() -> bool:
        context = SimpleNamespace(original_exception=ReadOnlySqlTransaction(), is_disconnect=False)
        servers.leave(cast("ExceptionContext", context))
        return bool(context.is_disconnect)

    left = [is_left(), is_left()]
    now[0] += LEAVE_INTERVAL_S
    left += [is_left(), is_left()]

    assert left == [True, False, True, False]
