"""Databases that do not answer, though they are there: nothing waits for them without a limit."""

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
    """Its port, and who came: whom it lets in, and then tells nothing."""
    guests: list[socket.socket] = []
    with ExitStack() as open_sockets, socket.create_server(("127.0.0.1", 0)) as door:

        def admit() -> None:
            while True:
                try:
                    guest = open_sockets.enter_context(door.accept()[0])
                except OSError:
                    return
                guest.recv(4096)
                guest.sendall(WELCOME)
                guests.append(guest)

        admitting = Thread(target=admit)
        admitting.start()
        yield door.getsockname()[1], guests
        door.shutdown(socket.SHUT_RDWR)
        admitting.join()


def checking(url: str, *statements: str) -> Settings:
    queries = {f"query{i}": {"database": "product", "sql": sql} for i, sql in enumerate(statements)}
    sections: dict[str, Any] = {"databases": {"product": {"url": url}}, "analytics": {"queries": queries}}
    return Settings(database_url=SecretStr(url), **sections)


def test_a_table_that_somebody_has_locked_does_not_keep_the_collector_from_starting(database_url: str) -> None:
    settings = checking(database_url, "SELECT count(*) FROM queue", "SELECT now()")
    with psycopg.connect(database_url) as owner, capture_logs() as said:
        owner.execute("LOCK TABLE queue")
        with pytest.raises(InvalidSettings) as refused:
            validate_configured_metrics(settings, timeout_s=0.2)

    assert [line["event"] for line in said] == ["metric.unchecked"]
    assert str(refused.value).startswith("TASKCORE_ANALYTICS__QUERIES__QUERY1__SQL: ")


def test_a_pooler_that_is_paused_is_asked_once_and_does_not_keep_the_collector_from_starting() -> None:
    with paused_pooler() as (port, guests), capture_logs() as said:
        url = f"postgresql://nobody@127.0.0.1:{port}/none?sslmode=disable&gssencmode=disable"
        validate_configured_metrics(checking(url, "SELECT 1", "SELECT 2"), timeout_s=0.2)

        assert [line["event"] for line in said] == ["metric.unchecked"]
        assert len(guests) == 1


async def test_a_database_that_hangs_is_said_to_be_away_and_the_schedule_is_tried_again(
    house: AnalyticsHarness,
) -> None:
    engine = async_engine(house.url, name="tests", pool_size=1)
    current = CurrentSettings(Settings(database_url=SecretStr(house.url)))
    with house.engine.connect().execution_options(isolation_level="READ COMMITTED") as owner, capture_logs() as said:
        owner.execute(text("LOCK TABLE schedule"))
        keeping = asyncio.create_task(ScheduleReconciler(current, engine, timeout_s=0.2).run())
        await comes(said, "database.unavailable")
        owner.rollback()
        await comes(said, "schedule.changed")
    keeping.cancel()
    await asyncio.wait([keeping])
    await engine.dispose()

    assert [row.name for row in house.sql("SELECT name FROM schedule")] == [NAME]


async def comes(said: list[Any], event: str) -> None:
    await asyncio.to_thread(eventually, lambda: event in [line["event"] for line in said], description=event)
