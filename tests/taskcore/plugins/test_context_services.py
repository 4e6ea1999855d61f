"""The databases and the HTTP client of a plugin's context."""

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


def test_writable_database_keeps_writes(empty_database_url: str) -> None:
    ctx = database_context(empty_database_url, read_only=False)

    with ctx.database("default") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")

    assert query(empty_database_url, "SELECT n FROM t") == [(1,)]


def test_failed_transaction_is_not_committed(empty_database_url: str) -> None:
    ctx = database_context(empty_database_url, read_only=False)

    with pytest.raises(ZeroDivisionError), ctx.database("default") as connection:  # noqa: PT012
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
        raise ZeroDivisionError

    assert query(empty_database_url, "SELECT to_regclass('t')") == [(None,)]


def test_read_only_database_is_read_only_in_each_transaction(empty_database_url: str) -> None:
    ctx = database_context(empty_database_url)

    with ctx.database("default") as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
        connection.commit()
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE t (n int)")


def test_statement_timeout_cancels_the_statement(empty_database_url: str) -> None:
    ctx = database_context(empty_database_url, timeout_s=0.05)

    with pytest.raises(psycopg.errors.QueryCanceled), ctx.database("default") as connection:
        connection.execute("SELECT pg_sleep(600)")


def test_interrupt_cancels_the_query(empty_database_url: str) -> None:
    ctx = database_context(empty_database_url)

    with pytest.raises(psycopg.errors.QueryCanceled), ctx.database("default") as connection:  # noqa: PT012
        threading.Timer(0.1, ctx.cancellation.interrupt, [InterruptCause.CANCEL]).start()
        connection.execute("SELECT pg_sleep(600)")


def test_error_of_a_missing_database_hides_its_url() -> None:
    ctx = make_context(databases={"gone": {"url": f"postgresql://me:hush@127.0.0.1:{free_port()}/secret"}})

    with pytest.raises(UnknownDatabase, match="gone"), ctx.database("other"):
        pass
    with pytest.raises(ConnectionError) as caught, ctx.database("gone"):
        pass

    assert "hush" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


def test_request_reaches_an_allowed_network(site: HttpServer) -> None:
    with loopback_context().http() as client:
        response = client.post(site.url, json={"n": 1})

    assert response.status_code == 200
    assert len(site.requests) == 1


def test_request_to_another_network_is_refused(site: HttpServer) -> None:
    with pytest.raises(ForbiddenAddress), make_context().http() as client:
        client.get(site.url)

    assert site.requests == []
