"""Databases that accept connections and do not answer: every wait for them has a limit."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from structlog.testing import capture_logs

from collector_analytics.schedule import NAME, ScheduleReconciler
from collector_analytics.validation import validate_configured_metrics
from harness.waiting import eventually
from taskcore.db.engine import async_engine
from taskcore.errors import InvalidSettings
from taskcore.live_settings import CurrentSettings
from taskcore.settings import Settings
from tests.collector_analytics.analytics_harness import AnalyticsHarness

WELCOME = b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I"


@contextmanager
def paused_pooler() -> Iterator[tuple[int, list[socket.socket]]]:
    """Yield the port, and the list of its connections. They are accepted and never answered."""
    connections: list[socket.socket] = []
    with ExitStack() as open_sockets, socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection = open_sockets.enter_context(server.accept()[0])
                except OSError:
                    return
                connection.recv(4096)
                connection.sendall(WELCOME)
                connections.append(connection)

        thread = Thread(target=accept)
        thread.start()
        yield server.getsockname()[1], connections
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def settings_with(url: str, *statements: str) -> Settings:
    queries = {f"query{i}": {"database": "product", "sql": sql} for i, sql in enumerate(statements)}
    sections: dict[str, Any] = {"databases": {"product": {"url": url}}, "analytics": {"queries": queries}}
    return Settings(database_url=SecretStr(url), **sections)


def test_a_locked_table_does_not_block_the_start(database_url: str) -> None:
    settings = settings_with(database_url, "SELECT count(*) FROM queue", "SELECT now()")
    with psycopg.connect(database_url) as owner, capture_logs() as lines:
        owner.execute("LOCK TABLE queue")
        with pytest.raises(InvalidSettings) as refused:
            validate_configured_metrics(settings, timeout_s=0.2)

    assert [line["event"] for line in lines] == ["metric.unchecked"]
    assert str(refused.value).startswith("TASKCORE_ANALYTICS__QUERIES__QUERY1__SQL: ")


def test_a_paused_pooler_is_tried_once_and_does_not_block_the_start() -> None:
    with paused_pooler() as (port, connections), capture_logs() as lines:
        url = f"postgresql://nobody@127.0.0.1:{port}/none?sslmode=disable&gssencmode=disable"
        validate_configured_metrics(settings_with(url, "SELECT 1", "SELECT 2"), timeout_s=0.2)

        assert [line["event"] for line in lines] == ["metric.unchecked"]
        assert len(connections) == 1


async def test_the_schedule_is_reconciled_again_after_the_database_hung(
    analytics: AnalyticsHarness,
) -> None:
    engine = async_engine(analytics.url, name="tests", pool_size=1)
    current = CurrentSettings(Settings(database_url=SecretStr(analytics.url)))
    with (
        analytics.engine.connect().execution_options(isolation_level="READ COMMITTED") as owner,
        capture_logs() as lines,
    ):
        owner.execute(text("LOCK TABLE schedule"))
        reconciling = asyncio.create_task(ScheduleReconciler(current, engine, timeout_s=0.2).run())
        await logged(lines, "database.unavailable")
        owner.rollback()
        await logged(lines, "schedule.changed")
    reconciling.cancel()
    await asyncio.wait([reconciling])
    await engine.dispose()

    assert [row.name for row in analytics.sql("SELECT name FROM schedule")] == [NAME]


async def logged(lines: list[Any], event: str) -> None:
    await asyncio.to_thread(eventually, lambda: event in [line["event"] for line in lines], description=event)
