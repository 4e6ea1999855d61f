"""A server that hangs counts as unavailable."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from functools import cache

import pytest
from sqlalchemy import Engine, Executable, text
from sqlalchemy.exc import OperationalError

from harness.waiting import eventually
from taskcore.db import prepared
from taskcore.db.engine import KEY_LOOKUP_OPTIONS, is_database_unavailable, sync_engine
from tests.taskcore.db.db_harness import DatabaseHarness

LIMIT_S = 1.5


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = sync_engine(
        database_url, name="bounded", pool_size=1, options=KEY_LOOKUP_OPTIONS, statement_deadline_s=LIMIT_S
    )
    yield engine
    engine.dispose()


@cache
def one() -> Executable:
    return text("SELECT 1 AS one")


def ask_directly(engine: Engine) -> int:
    return int(prepared.execute(engine, one(), {})[0].one)


def ask_through_the_engine(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(one()).scalar_one())


@pytest.mark.parametrize("ask", [ask_directly, ask_through_the_engine])
def test_a_call_to_a_hanging_server_ends(db: DatabaseHarness, engine: Engine, ask: Callable[[Engine], int]) -> None:
    assert ask(engine) == 1
    (backend,) = db.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'bounded'")
    os.kill(backend.pid, signal.SIGSTOP)

    try:
        with pytest.raises(OperationalError) as raised:
            ask(engine)
    finally:
        os.kill(backend.pid, signal.SIGCONT)

    assert is_database_unavailable(raised.value)
    assert ask(engine) == 1


def test_a_call_past_its_deadline_ends_in_a_slow_server_too(db: DatabaseHarness, engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(OperationalError) as raised:
        connection.execute(text("SELECT pg_sleep(600)"))

    assert is_database_unavailable(raised.value)
    going_on = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'bounded' AND state = 'active'"
    eventually(lambda: not db.sql(going_on))
