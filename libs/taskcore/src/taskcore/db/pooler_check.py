"""Refuse at start what would fail later: a pooler that Taskcore does not know of, or sessions that it cannot use."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import psycopg
import structlog

from taskcore.db.connections import driver_parameters, unsuitable_settings
from taskcore.db.deadlines import DeadlineConnection
from taskcore.errors import InvalidSettings, first_line
from taskcore.settings import PREFIX, Settings

#: How many other clients a pooler has to serve from other server connections than ours.
OTHER_CLIENTS = 4
#: A session pooler whose connections are all in use lets a client wait.
REPLY_TIMEOUT_S = 2.0

log = structlog.stdlib.get_logger(__name__)


def check_pooler(settings: Settings) -> None:
    """Check whether poolers are declared, by how they behave. Does nothing while the database is unavailable.

    Raises:
        InvalidSettings: a transaction pooler is not declared, or before the direct URL; or the sessions behind a
            declared one have settings that Taskcore cannot work with.
    """
    url = settings.database_url.get_secret_value()
    try:
        if settings.database_pooler == "transaction":
            _check_session(url)
        elif _exchanges_connections(url):
            raise InvalidSettings(_undeclared("DATABASE_URL", "set DATABASE_POOLER to transaction"))
        if settings.direct_url != url and _exchanges_connections(settings.direct_url):
            raise InvalidSettings(_undeclared("DATABASE_DIRECT_URL", "it must lead to PostgreSQL itself"))
    except psycopg.OperationalError as exc:
        log.warning("database.not_checked", error=first_line(exc))


def _undeclared(name: str, advice: str) -> str:
    named = advice.replace("DATABASE_POOLER", f"{PREFIX}DATABASE_POOLER")
    return f"{PREFIX}{name}: a pooler gives each transaction another connection; {named} (docs/postgresql.md)"


def _exchanges_connections(url: str) -> bool:
    """Return whether a connection may be served by another server process with each transaction."""
    with ExitStack() as clients:
        client = clients.enter_context(_connect(url))
        server_pid = _server_pid(client)
        if server_pid == client.info.backend_pid:
            return False  # a pooler would have made up a pid for its client
        for _ in range(OTHER_CLIENTS):
            other = clients.enter_context(_connect(url))
            try:
                other.execute("BEGIN")
                if _server_pid(other) == server_pid or _server_pid(client) != server_pid:
                    return True
            except psycopg.OperationalError:
                return False  # it waits for a server connection, since ours is kept for us
    return False


def _check_session(url: str) -> None:
    """Check the settings of the sessions behind a pooler, which Taskcore cannot set there."""
    with _connect(url) as connection:
        rows = connection.execute("SELECT name, setting FROM pg_settings").fetchall()
        names = connection.execute("SELECT quote_ident(current_user), quote_ident(current_database())").fetchone()
    if wrong := unsuitable_settings(dict(rows)):
        user, database = names or ("", "")
        statements = "\n".join(
            f"ALTER ROLE {user} IN DATABASE {database} SET {name} TO '{value}';" for name, value in wrong.items()
        )
        raise InvalidSettings(f"{PREFIX}DATABASE_URL: run this, and let the pooler reconnect:\n{statements}")


def _connect(url: str) -> psycopg.Connection[Any]:
    connection = DeadlineConnection.connect(
        **driver_parameters(url, name="taskcore check"), autocommit=True, prepare_threshold=None
    )
    connection.deadline_s = REPLY_TIMEOUT_S
    return connection


def _server_pid(connection: psycopg.Connection[Any]) -> int:
    (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)
    return int(pid)
