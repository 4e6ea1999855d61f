"""What any plugin may use by its context: named databases, and an HTTP client on the guarded network."""

from __future__ import annotations

import threading

import psycopg
import pytest

from harness.ports import free_port
from taskcore.errors import UnknownDatabase
from taskcore.plugins.interrupts import InterruptCause
from taskcore.plugins.network.guarded_network import ForbiddenAddress
from tests.taskworker.types.databases import query
from tests.taskworker.types.environments import database_context, loopback_context, make_context
from tests.taskworker.types.http_server import HttpServer


def test_a_database_that_may_be_written_keeps_what_was_written(empty_database_url: str) -> None:
    ctx = database_context(empty_database_url, read_only=False)

    with ctx.database("default") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")

    assert query(empty_database_url, "SELECT n FROM t") == [(1,)]


def test_what_fails_is_not_committed(empty_database_url: str) -> None:
    ctx = database_context(empty_database_url, read_only=False)

    with pytest.raises(ZeroDivisionError), ctx.database("default") as connection:  # noqa: PT012
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
        raise ZeroDivisionError

    assert query(empty_database_url, "SELECT to_regclass('t')") == [(None,)]


def test_a_read_only_database_is_read_only_in_each_transaction(empty_database_url: str) -> None:
    ctx = database_context(empty_database_url)

    with ctx.database("default") as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
        connection.commit()
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE t (n int)")


def test_a_statement_that_takes_too_long_is_ended(empty_database_url: str) -> None:
    ctx = database_context(empty_database_url, timeout_s=0.05)

    with pytest.raises(psycopg.errors.QueryCanceled), ctx.database("default") as connection:
        connection.execute("SELECT pg_sleep(600)")


def test_an_interrupt_cancels_the_query(empty_database_url: str) -> None:
    ctx = database_context(empty_database_url)

    with pytest.raises(psycopg.errors.QueryCanceled), ctx.database("default") as connection:  # noqa: PT012
        threading.Timer(0.1, ctx.cancellation.interrupt, [InterruptCause.CANCEL]).start()
        connection.execute("SELECT pg_sleep(600)")


def test_a_database_that_is_not_configured_or_not_there_says_so_without_its_url() -> None:
    ctx = make_context(databases={"gone": {"url": f"postgresql://me:hush@127.0.0.1:{free_port()}/secret"}})

    with pytest.raises(UnknownDatabase, match="gone"), ctx.database("other"):
        pass
    with pytest.raises(ConnectionError) as caught, ctx.database("gone"):
        pass

    assert "hush" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


def test_a_request_goes_where_the_operator_allows(site: HttpServer) -> None:
    with loopback_context().http() as client:
        answer = client.post(site.url, json={"n": 1})

    assert answer.status_code == 200
    assert len(site.requests) == 1


def test_a_request_goes_nowhere_else(site: HttpServer) -> None:
    with pytest.raises(ForbiddenAddress), make_context().http() as client:
        client.get(site.url)

    assert site.requests == []
