"""Connections to the databases that an operator configures for tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import structlog
from opentelemetry.trace import Tracer

from taskcore.errors import UnknownDatabase
from taskcore.observability.tracing.client_spans import NO_TRACER
from taskcore.observability.tracing.propagation import is_sampled
from taskcore.observability.tracing.sql_spans import traced_cursor
from taskcore.plugins.cancellation import CancellationToken
from taskcore.settings import DatabaseSettings, Settings

CANCEL_TIMEOUT_S = 5.0

log = structlog.stdlib.get_logger(__name__)


@contextmanager
def named_database(
    settings: Settings, name: str, cancellation: CancellationToken, task_id: int, tracer: Tracer = NO_TRACER
) -> Iterator[psycopg.Connection[Any]]:
    """Open a connection. Its transaction is committed at the end, or rolled back if the database is read-only.

    Raises:
        UnknownDatabase: when no database of this name is configured.
        ConnectionError: when the database is unreachable. Hosts and users are named in the worker's log only.
    """
    database = settings.databases.get(name)
    if database is None:
        known = ", ".join(sorted(settings.databases)) or "none"
        raise UnknownDatabase(f"no database is configured as {name!r}; configured: {known}")
    connection = open_connection(name, database, task_id)
    # The connection's own context manager would leave it open if the commit failed.
    with closing(connection), cancellation.on_interrupt(lambda: connection.cancel_safe(timeout=CANCEL_TIMEOUT_S)):
        _configure(connection, database)
        if is_sampled():
            connection.cursor_factory = traced_cursor(tracer)
        yield connection
        if database.read_only:
            connection.rollback()
        else:
            connection.commit()


def open_connection(
    name: str,
    database: DatabaseSettings,
    task_id: int,
    connect: Callable[..., psycopg.Connection[Any]] = psycopg.connect,
) -> psycopg.Connection[Any]:
    """Open a connection. Raises `ConnectionError`, which names neither hosts nor users."""
    try:
        return connect(
            database.url.get_secret_value(),
            connect_timeout=10,
            application_name=f"taskcore task {task_id}",
            client_encoding="UTF8",
            prepare_threshold=None,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            tcp_user_timeout=60_000,
        )
    except psycopg.Error as exc:
        log.warning("database.unreachable", task_id=task_id, database=name, error=_without_url(exc))
        raise ConnectionError(f"database {name!r} cannot be reached") from None  # a cause may show the URL


def _configure(connection: psycopg.Connection[Any], database: DatabaseSettings) -> None:
    """Set the timeout and the access mode of all its transactions."""
    connection.autocommit = True
    timeout_ms = max(1, round(database.timeout_s * 1000))
    connection.execute("SELECT set_config('statement_timeout', %s, false)", [str(timeout_ms)])
    connection.autocommit = False
    connection.read_only = database.read_only


def _without_url(exc: psycopg.Error) -> str:
    """Return what the driver says. Of a URL that it cannot parse, it may quote parts, so say nothing more then."""
    return str(exc) if isinstance(exc, psycopg.OperationalError) else "its URL is not valid"
