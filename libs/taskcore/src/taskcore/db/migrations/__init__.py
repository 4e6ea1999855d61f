"""The chain of Alembic migrations, and the functions behind `taskcore db upgrade`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from psycopg.errors import InsufficientPrivilege, UndefinedObject
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from taskcore.db.engine import sync_engine
from taskcore.db.migrations.roles import grant_to_runtime_role

#: Concurrent upgrades wait for each other on this advisory lock.
MIGRATION_LOCK = 0x7461736B
RETRY_S = 1.0
#: Parts of messages with which a server, or libpq, refuses a connection for good. They have no code before a session.
REFUSALS = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "does not exist",
    "is not permitted to log in",
    "permission denied for database",
)


def upgrade(database_url: str, revision: str = "head", runtime_role: str | None = None) -> None:
    """Upgrade the schema to `revision`. Safe to run twice, and in several processes at once.

    Then let `runtime_role`, if it is given, read and write the rows of all tables.
    """

    def upgrade_and_grant(config: Config) -> None:
        command.upgrade(config, revision)
        if runtime_role is not None:
            grant_to_runtime_role(config.attributes["connection"], runtime_role)

    _run(database_url, upgrade_and_grant)


def when_available(
    action: Callable[[], None], wait_s: float, on_wait: Callable[[OperationalError], None] = lambda _: None
) -> None:
    """Run `action`, and wait up to `wait_s` for a server that does not respond yet, but not for one that refuses.

    `on_wait` is called after each failed attempt. Raises `OperationalError` when the time is over.
    """
    ends_at = time.monotonic() + wait_s
    while True:
        try:
            return action()
        except OperationalError as exc:
            if is_refusal(exc) or time.monotonic() >= ends_at:
                raise
            on_wait(exc)
        time.sleep(RETRY_S)


def is_refusal(exc: DBAPIError) -> bool:
    """Return whether the server refuses the credentials, or a right or role is missing: no later attempt would help."""
    if isinstance(exc.orig, InsufficientPrivilege | UndefinedObject):
        return True
    return isinstance(exc, OperationalError) and any(refusal in str(exc.orig) for refusal in REFUSALS)


def downgrade(database_url: str, revision: str) -> None:
    """Downgrade the schema to `revision`. The data of newer tables is lost."""
    _run(database_url, lambda config: command.downgrade(config, revision))


def check(database_url: str) -> None:
    """Check that the models match the migrated database.

    Raises:
        alembic.util.CommandError: if they differ.
    """
    _run(database_url, command.check)


def new_revision(database_url: str, message: str) -> None:
    """Write a migration with the difference between the models and the database."""
    _run(database_url, lambda config: command.revision(config, message, autogenerate=True))


def alembic_config(directory: Path = Path(__file__).parent) -> Config:
    """Return Alembic's configuration of the chain in `directory`."""
    config = Config()
    config.set_main_option("script_location", str(directory).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def _run(database_url: str, action: Callable[[Config], object]) -> None:
    config = alembic_config()
    engine = sync_engine(database_url, name="taskcore migrations", pool_size=1)
    try:
        with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            connection.commit()
            config.attributes["connection"] = connection
            action(config)
            connection.commit()
    finally:
        engine.dispose()
