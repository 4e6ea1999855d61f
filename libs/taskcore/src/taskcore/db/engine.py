"""Engines: how processes reach PostgreSQL, sync and async, both psycopg 3."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
from psycopg.errors import ProgramLimitExceeded, ReadOnlySqlTransaction
from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from taskcore.db.deadlines import set_statement_deadline

CONNECT_TIMEOUT_S = 5

#: What a database that is away, restarting or out of connections raises.
DATABASE_UNAVAILABLE = (OperationalError, InterfaceError, TimeoutError, ConnectionError, asyncio.TimeoutError)


#: For processes whose every statement goes by key: no plan that was made for an empty table may outlive it, and none is
#: made anew at each execution, which took as long as the claim itself.
KEY_LOOKUP_OPTIONS = (
    "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c plan_cache_mode=force_generic_plan"
)


#: Times come in UTC: Python compares those of one zone with daylight saving by what its clocks show. And whoever is
#: stopped, or cut off, in the middle of a transaction holds its tasks no longer than this.
BASE_OPTIONS = "-c TimeZone=UTC -c idle_in_transaction_session_timeout=10s"


def sync_engine(
    url: str, *, name: str, pool_size: int, options: str = "", statement_deadline_s: float | None = None
) -> Engine:
    """An engine of at most `pool_size` connections, seen as `name` in pg_stat_activity.

    Each statement is a transaction of its own, unless `engine.begin()` is asked for with another isolation level.
    `answer_within_s`: a server that takes longer counts as away.
    """
    engine = create_engine(_url(url), **_options(name, pool_size, options))
    if statement_deadline_s is not None:
        set_statement_deadline(engine, statement_deadline_s)
    return engine


def async_engine(url: str, *, name: str, pool_size: int, options: str = "") -> AsyncEngine:
    """As `sync_engine`, for asyncio."""
    return create_async_engine(_url(url), **_options(name, pool_size, options))


def _url(url: str) -> URL:
    return make_url(url).set(drivername="postgresql+psycopg")


def _options(name: str, pool_size: int, options: str) -> dict[str, Any]:
    return {
        "isolation_level": "AUTOCOMMIT",
        "hide_parameters": True,  # errors are logged, and parameters of tasks may be secret
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": CONNECT_TIMEOUT_S,
        "json_serializer": lambda value: msgspec.json.encode(value).decode(),
        "json_deserializer": msgspec.json.decode,
        "connect_args": {
            "application_name": name,
            "connect_timeout": CONNECT_TIMEOUT_S,
            "options": f"{BASE_OPTIONS} {options}".strip(),
            # A server that vanished without a word is noticed in about 15 s.
            "keepalives_idle": 5,
            "keepalives_interval": 3,
            "keepalives_count": 3,
            "tcp_user_timeout": int(timedelta(seconds=15).total_seconds() * 1000),
        },
    }


def is_database_unavailable(exc: BaseException) -> bool:
    """Whether `exc` says that the database cannot be used now, and that trying again later makes sense."""
    if isinstance(exc, DBAPIError) and isinstance(exc.orig, ProgramLimitExceeded):
        return False  # a value that is too large for an index will be so tomorrow
    if isinstance(exc, DBAPIError) and (exc.connection_invalidated or isinstance(exc.orig, ReadOnlySqlTransaction)):
        return True  # one that takes no writes is a standby that was asked too early, or one that is being moved
    return isinstance(exc, DATABASE_UNAVAILABLE)
