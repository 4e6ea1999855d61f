"""Engines: how processes connect to PostgreSQL, sync and async, both with psycopg 3."""

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

#: The errors of a database that is unreachable, restarting or out of connections.
DATABASE_UNAVAILABLE = (OperationalError, InterfaceError, TimeoutError, ConnectionError, asyncio.TimeoutError)


#: For processes whose statements all look up rows by key. No plan that was made for an empty table may outlive it, and
#: no plan is made again for each execution, which took as long as the claim itself.
KEY_LOOKUP_OPTIONS = (
    "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c plan_cache_mode=force_generic_plan"
)


#: Times come in UTC: Python compares times of one daylight-saving zone by their wall clocks. A process that is stopped
#: or cut off in the middle of a transaction holds its locks no longer than this.
BASE_OPTIONS = "-c TimeZone=UTC -c idle_in_transaction_session_timeout=10s"


def sync_engine(
    url: str, *, name: str, pool_size: int, options: str = "", statement_deadline_s: float | None = None
) -> Engine:
    """Create an engine with up to `pool_size` connections, shown as `name` in pg_stat_activity.

    Each statement is a transaction of its own, unless the caller asks for another isolation level. A server that takes
    longer than `statement_deadline_s` to reply counts as unavailable.
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
            # A server that vanishes silently is noticed after about 15 s.
            "keepalives_idle": 5,
            "keepalives_interval": 3,
            "keepalives_count": 3,
            "tcp_user_timeout": int(timedelta(seconds=15).total_seconds() * 1000),
        },
    }


def is_database_unavailable(exc: BaseException) -> bool:
    """Return whether `exc` means that the database cannot be used now and that a later retry makes sense."""
    if isinstance(exc, DBAPIError) and isinstance(exc.orig, ProgramLimitExceeded):
        return False  # a value that is too large for an index still will be tomorrow
    if isinstance(exc, DBAPIError) and (exc.connection_invalidated or isinstance(exc.orig, ReadOnlySqlTransaction)):
        return True  # read-only: a standby that was asked too early, or a server that is being moved
    return isinstance(exc, DATABASE_UNAVAILABLE)
