"""The owner of the tables and the role of the services. Nearly all tests connect as the latter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy.engine import make_url

from harness.postgres import PostgresDatabases, execute_as
from taskcore.db.engine import sync_engine
from taskstandalone.postgres.cluster import SUPERUSER
from tests.taskcore.db.db_harness import DatabaseHarness, new_task

REFUSED = [
    "DROP TABLE task",
    "ALTER TABLE task ADD COLUMN extra int",
    "TRUNCATE task",
    "CREATE TABLE extra ()",
    "CREATE INDEX ON task (name)",
    "DROP FUNCTION lock_history_shared",
    "ALTER TABLE task DISABLE TRIGGER ALL",
    "UPDATE alembic_version SET version_num = 'none'",
    "SELECT setval('worker_lock_id', 1)",
    "SELECT pg_read_file('/etc/passwd')",
]


@pytest.mark.parametrize("statement", REFUSED)
def test_the_role_of_the_services_cannot(database_url: str, statement: str) -> None:
    with psycopg.connect(database_url) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(statement.encode())


@dataclass(frozen=True)
class Names:
    """What one installation creates on a server."""

    admin_url: str
    owner: str
    runtime: str
    database: str

    def url(self, role: str) -> str:
        found = make_url(self.admin_url).set(username=role, password="p@ss'word", database=self.database)
        return found.render_as_string(hide_password=False)


@pytest.fixture
def names(postgres_server: PostgresDatabases) -> Iterator[Names]:
    unique = uuid4().hex[:12]
    names = Names(postgres_server.superuser_url, f"Owner {unique}", f"Runtime {unique}", f"Tasks {unique}")
    yield names
    execute_as(
        SUPERUSER,
        names.admin_url,
        f'DROP DATABASE IF EXISTS "{names.database}"',
        f'DROP ROLE IF EXISTS "{names.owner}", "{names.runtime}"',
    )


def upgrade(**env: str) -> subprocess.CompletedProcess[str]:
    given = {f"TASKCORE_DATABASE_{name.upper()}": value for name, value in env.items()}
    command = [sys.executable, "-m", "taskcore", "db", "upgrade"]
    return subprocess.run(command, env=os.environ | given, capture_output=True, text=True, timeout=120)


def test_an_administrator_lets_the_upgrade_create_roles_and_database(names: Names) -> None:
    urls = {"admin_url": names.admin_url, "owner_url": names.url(names.owner), "url": names.url(names.runtime)}

    for _ in range(2):
        ended = upgrade(**urls)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")

    engine = sync_engine(names.url(names.runtime), name="tests", pool_size=1)
    db = DatabaseHarness(engine)
    assert db.submit(new_task()) == [1]
    assert db.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'task'") == [(names.owner,)]
    assert db.sql("SELECT has_database_privilege('public', current_database(), 'CONNECT')") == [(False,)]
    engine.dispose()
    with psycopg.connect(names.admin_url) as connection:
        roles = connection.execute(
            "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication, rolpassword FROM pg_authid"
            " WHERE rolname IN (%s, %s)",
            [names.owner, names.runtime],
        ).fetchall()
    assert [(may_more, password[:14]) for may_more, password in roles] == [(False, "SCRAM-SHA-256$")] * 2


def test_a_role_that_does_not_exist_is_named_in_one_line(names: Names, empty_database_url: str) -> None:
    ended = upgrade(owner_url=empty_database_url, url=names.url(names.runtime))

    assert (ended.returncode, ended.stderr) == (
        2,
        f'taskcore: the database refuses: role "{names.runtime}" does not exist\n',
    )
