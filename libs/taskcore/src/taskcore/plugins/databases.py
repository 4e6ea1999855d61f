"""Connections to the databases that an operator configures for tasks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import structlog
from opentelemetry.trace import Tracer

from taskcore.errors import InvalidSettings, PrivilegedRole, UnknownDatabase, first_line
from taskcore.observability.tracing.client_spans import NO_TRACER
from taskcore.observability.tracing.propagation import is_sampled
from taskcore.observability.tracing.sql_spans import traced_cursor
from taskcore.plugins.cancellation import CancellationToken
from taskcore.settings import PREFIX, DatabaseSettings, Settings, database_parameters

#: The URL may set all of these.
DEFAULT_PARAMETERS: Mapping[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
CANCEL_TIMEOUT_S = 5.0
#: How long a start waits for the databases that it checks.
CHECK_TIMEOUT_S = 5.0

#: What READ ONLY does not bound, of the roles that a session can have: a query can go back to the one that logged in.
_PRIVILEGES = """
    SELECT array_agg(DISTINCT privilege) FROM pg_roles, LATERAL (VALUES
        ('SUPERUSER', rolsuper),
        ('REPLICATION', rolreplication),
        (rolname, rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program'))
    ) AS held (privilege, is_held)
    WHERE is_held AND pg_has_role(session_user, pg_roles.oid, 'MEMBER')
"""

log = structlog.stdlib.get_logger(__name__)


@contextmanager
def named_database(
    settings: Settings, name: str, cancellation: CancellationToken, task_id: int, tracer: Tracer = NO_TRACER
) -> Iterator[psycopg.Connection[Any]]:
    """Open a connection. Its transaction is committed at the end, or rolled back if the database is read-only.

    Raises:
        UnknownDatabase: when no database of this name is configured.
        ConnectionError: when the database is unreachable. Hosts and users are named in the worker's log only.
        PrivilegedRole: see `open_connection`.
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
    """Open a connection. Its errors name neither hosts nor users.

    Raises:
        ConnectionError: the database is unreachable.
        PrivilegedRole: it is read-only, but its role may do more than READ ONLY bounds.
    """
    connection = _connect(name, database, task_id, connect)
    if database.read_only and not database.allow_privileged_role:
        try:
            _refuse_privileges(name, database, connection)
        except BaseException:
            connection.close()
            raise
    return connection


def check_roles(settings: Settings, timeout_s: float = CHECK_TIMEOUT_S) -> None:
    """Raise `InvalidSettings` for read-only databases with a privileged role. One that does not answer is left out."""
    errors: list[str] = []

    def check(name: str, database: DatabaseSettings) -> None:
        try:
            open_connection(name, database, 0).close()
        except PrivilegedRole as exc:
            errors.append(f"{PREFIX}DATABASES: {exc}")
        except (ConnectionError, psycopg.Error):
            log.warning("database.not_checked", database=name)

    threads = [threading.Thread(target=check, args=item, daemon=True) for item in settings.databases.items()]
    for thread in threads:
        thread.start()
    ends_at = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, ends_at - time.monotonic()))
    if errors:
        raise InvalidSettings("\n".join(sorted(errors)))


def _refuse_privileges(name: str, database: DatabaseSettings, connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        _limit_statements(connection, database, is_local=True)
        (held,) = connection.execute(_PRIVILEGES).fetchone() or (None,)
    if held:
        role = "SUPERUSER" if "SUPERUSER" in held else ", ".join(sorted(held))
        raise PrivilegedRole(
            f"the database {name!r} is read-only, but that does not bound its role ({role}). Use a role without this, "
            "or set allow_privileged_role"
        )


def _connect(
    name: str, database: DatabaseSettings, task_id: int, connect: Callable[..., psycopg.Connection[Any]]
) -> psycopg.Connection[Any]:
    own = {"application_name": f"taskcore task {task_id}", "client_encoding": "UTF8"}
    parameters = {**DEFAULT_PARAMETERS, **database_parameters(database.url.get_secret_value()), **own}
    try:
        return connect(**parameters, prepare_threshold=None)
    except psycopg.Error as exc:
        log.warning("database.unreachable", task_id=task_id, database=name, error=first_line(exc))
        raise ConnectionError(f"database {name!r} cannot be reached") from None  # a cause may show the URL


def _configure(connection: psycopg.Connection[Any], database: DatabaseSettings) -> None:
    """Set the timeout and the access mode of all its transactions."""
    connection.autocommit = True
    _limit_statements(connection, database, is_local=False)
    connection.autocommit = False
    connection.read_only = database.read_only


def _limit_statements(connection: psycopg.Connection[Any], database: DatabaseSettings, *, is_local: bool) -> None:
    """Set the timeout of the statements of this transaction, if it `is_local`, or of the session."""
    timeout_ms = max(1, round(database.timeout_s * 1000))
    connection.execute("SELECT set_config('statement_timeout', %s, %s)", [str(timeout_ms), is_local])
