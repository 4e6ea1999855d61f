"""Engines: how processes connect to PostgreSQL, sync and async, both with psycopg 3."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from psycopg.errors import ProgramLimitExceeded, ReadOnlySqlTransaction
from sqlalchemy import Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from taskcore.db.connections import CONNECT_TIMEOUT_S, driver_parameters, session_statement
from taskcore.db.deadlines import set_reply_deadline, statement_timeout
from taskcore.db.measured_pool import MeasuredAsyncPool, MeasuredPool
from taskcore.settings import Pooler

#: The errors of a database that is unreachable, restarting or out of connections.
DATABASE_UNAVAILABLE = (OperationalError, InterfaceError, TimeoutError, ConnectionError, asyncio.TimeoutError)

#: How often a pool whose writes are refused connects again.
LEAVE_INTERVAL_S = 1.0

#: The driver; everything else comes in the arguments of each connection.
DRIVER = "postgresql+psycopg://"

#: For processes whose statements all look up rows by key. No plan that was made for an empty table may outlive it, and
#: no plan is made again for each execution, which took as long as the claim itself.
KEY_LOOKUP_OPTIONS: Mapping[str, str] = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}


def sync_engine(
    url: str,
    *,
    name: str,
    pool_size: int,
    options: Mapping[str, str] | None = None,
    statement_deadline_s: float | None = None,
    pooler: Pooler = "none",
) -> Engine:
    """Create an engine with up to `pool_size` connections, shown as `name` in pg_stat_activity.

    Each statement is a transaction of its own, unless the caller asks for another isolation level. `options` are
    settings of PostgreSQL for its sessions. A server that takes longer than `statement_deadline_s` to reply counts as
    unavailable.
    """
    settings = {**(options or {}), **statement_timeout(statement_deadline_s)}
    parameters = driver_parameters(url, name=name)
    engine = create_engine(DRIVER, poolclass=MeasuredPool, **_options(parameters, pool_size, pooler))
    if statement_deadline_s is not None:
        set_reply_deadline(engine, statement_deadline_s)
    return _prepared(engine, parameters, settings, pooler)


def async_engine(
    url: str, *, name: str, pool_size: int, options: Mapping[str, str] | None = None, pooler: Pooler = "none"
) -> AsyncEngine:
    """As `sync_engine`, for asyncio."""
    parameters = driver_parameters(url, name=name)
    engine = create_async_engine(DRIVER, poolclass=MeasuredAsyncPool, **_options(parameters, pool_size, pooler))
    _prepared(engine.sync_engine, parameters, options or {}, pooler)
    return engine


def _options(parameters: Mapping[str, Any], pool_size: int, pooler: Pooler) -> dict[str, Any]:
    # Behind a transaction pooler, a statement that one server connection has prepared is met by the next as unknown.
    unprepared = {"prepare_threshold": None} if pooler == "transaction" else {}
    return {
        "isolation_level": "AUTOCOMMIT",
        "hide_parameters": True,  # errors are logged, and parameters of tasks may be secret
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": CONNECT_TIMEOUT_S,
        "json_serializer": lambda value: msgspec.json.encode(value).decode(),
        "json_deserializer": msgspec.json.decode,
        "connect_args": {**parameters, **unprepared},
    }


def _prepared(engine: Engine, parameters: Mapping[str, Any], settings: Mapping[str, str], pooler: Pooler) -> Engine:
    """Give each new session its settings, and leave servers that accept no writes any more."""
    event.listen(engine, "handle_error", ReadOnlyServers().leave)
    if pooler == "none":  # a transaction pooler would give the settings to another client
        statement = session_statement(parameters, settings)
        event.listen(engine, "connect", lambda connection, _record: _execute(connection, statement))
    return engine


def _execute(connection: Any, statement: str) -> None:
    """Execute on the connection of the driver, which is in autocommit mode, or on SQLAlchemy's wrapper around it."""
    cursor = connection.cursor()
    cursor.execute(statement)
    cursor.close()


class ReadOnlyServers:
    """Connects again after a refused write: of several hosts, another may be the primary by now.

    Once a second, with all connections of the pool. To reconnect for each of hundreds of refused writes would keep the
    server from everything else.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._leave_at = float("-inf")

    def leave(self, context: ExceptionContext) -> None:
        now = self._clock()
        if isinstance(context.original_exception, ReadOnlySqlTransaction) and now >= self._leave_at:
            self._leave_at = now + LEAVE_INTERVAL_S
            context.is_disconnect = True


def is_database_unavailable(exc: BaseException) -> bool:
    """Return whether `exc` means that the database cannot be used now and that a later retry makes sense."""
    if isinstance(exc, DBAPIError) and isinstance(exc.orig, ProgramLimitExceeded):
        return False  # a value that is too large for an index still will be tomorrow
    if isinstance(exc, DBAPIError) and (exc.connection_invalidated or isinstance(exc.orig, ReadOnlySqlTransaction)):
        return True  # read-only: a standby that was asked too early, or a server that is being moved
    return isinstance(exc, DATABASE_UNAVAILABLE)
