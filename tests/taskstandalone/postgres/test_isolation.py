"""What anybody who may submit tasks, or has an account on the machine, can do with the embedded PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest

from harness.reaper import Reaper
from taskcore.db import migrations
from taskcore.db.engine import sync_engine
from taskcore.db.migrations import MIGRATION_LOCK
from taskcore.db.workers.leases import LIVENESS_LOCK
from taskcore.plugins import Fail
from taskcore.plugins.databases import check_roles
from taskcore.settings import Settings
from taskstandalone.postgres.embedded_postgres import EmbeddedPostgres
from taskworker.types.query.run_query import RunQuery
from tests.taskcore.db.db_harness import DatabaseHarness, new_task
from tests.taskworker.types.environments import database_environment

HISTORY_LOCK = 1951622763

#: Each would read a file, write one, run a program, reach another database, or leave something behind.
REFUSED = [
    "SELECT pg_read_file('{secret}')",
    "SELECT pg_read_binary_file('{secret}')",
    "SELECT pg_stat_file('{secret}')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('{secret}')",
    "SELECT lo_export(1, '{secret}')",
    "SELECT * FROM pg_ls_logdir()",
    "SELECT * FROM pg_hba_file_rules",
    "COPY pg_class TO '{secret}'",
    "COPY pg_class TO PROGRAM 'cat > {secret}'",
    "CREATE TABLE stolen (line text)",
    "SELECT pg_create_physical_replication_slot('left', true)",
    "SELECT pg_create_logical_replication_slot('left', 'pgoutput')",
    "SELECT pg_create_restore_point('left')",
    "SELECT pg_switch_wal()",
    "SELECT pg_reload_conf()",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'taskcore'",
    "SELECT set_config('role', 'postgres', true)",
    "SELECT set_config('session_authorization', 'taskcore', true)",
    "SELECT set_config('temp_file_limit', '-1', true)",
    "SELECT rolpassword FROM pg_authid",
    "SELECT * FROM task",
    "SELECT pg_database_size('taskcore')",
]


@pytest.fixture(scope="module")
def postgres(reaper: Reaper) -> Iterator[EmbeddedPostgres]:
    with TemporaryDirectory(prefix="taskcore-test-") as directory:
        reaper.watch_directory(Path(directory))
        with EmbeddedPostgres(Path(directory) / "data", {"fsync": "off"}) as server:
            assert server.pid is not None
            reaper.watch_group(server.pid)
            migrations.upgrade(server.url)
            with psycopg.connect(server.url) as busy:  # a connection of Taskcore's that could be terminated
                busy.execute("SELECT 1")
                yield server
            reaper.forget_group(server.pid)


@pytest.fixture
def secret(tmp_path: Path) -> Iterator[Path]:
    """A file that everybody may read, so that only the role of the query is in the way."""
    with TemporaryDirectory(prefix="taskcore-test-") as directory:
        file = Path(directory) / "secret"
        file.write_text("hush")
        Path(directory).chmod(0o755)
        yield file
        assert file.read_text() == "hush"


def run(postgres: EmbeddedPostgres, statement: str, **options: Any) -> Any:
    return database_environment(postgres.queries_url, **options).run(RunQuery, query=statement)


@pytest.mark.parametrize("is_read_only", [True, False], ids=["read-only", "writable"])
@pytest.mark.parametrize("statement", REFUSED)
def test_a_query_gets_no_more_than_its_own_database(
    postgres: EmbeddedPostgres, secret: Path, statement: str, is_read_only: bool
) -> None:
    outcome = run(postgres, statement.format(secret=secret), read_only=is_read_only)

    if statement.startswith("CREATE TABLE"):  # its own database may be written to, if the operator says so
        assert isinstance(outcome, Fail) == is_read_only
    else:
        assert isinstance(outcome, Fail)
        assert "hush" not in outcome.error


@pytest.mark.parametrize("statement", ["SELECT pg_terminate_backend({pid})", "SELECT pg_cancel_backend({pid})"])
def test_a_query_cannot_stop_those_of_taskcore(postgres: EmbeddedPostgres, statement: str) -> None:
    with psycopg.connect(postgres.url) as own:
        outcome = run(postgres, statement.format(pid=own.info.backend_pid))

        assert isinstance(outcome, Fail)
        assert "permission denied" in outcome.error
        assert own.execute("SELECT 1").fetchone() == (1,)


def test_locks_of_a_query_stop_nobodys_work(postgres: EmbeddedPostgres) -> None:
    locks = ", ".join(f"pg_advisory_lock({n})" for n in (f"{HISTORY_LOCK}, 0", f"{LIVENESS_LOCK}, 1", MIGRATION_LOCK))
    engine = sync_engine(postgres.url, name="tests", pool_size=1, statement_deadline_s=20)
    with psycopg.connect(postgres.queries_url) as query:
        query.execute(f"SELECT {locks}".encode())

        db = DatabaseHarness(engine)
        (task_id,) = db.submit(new_task())
        db.run_to_end(task_id)
        assert db.status(task_id) == "succeeded"
        migrations.upgrade(postgres.url)
    engine.dispose()


def test_no_replication_slot_can_be_left_behind_by_anybody(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.superuser_url, autocommit=True) as superuser:
        with pytest.raises(psycopg.Error, match="max_replication_slots"):
            superuser.execute("SELECT pg_create_physical_replication_slot('left', true)")
        assert superuser.execute("SELECT * FROM pg_replication_slots").fetchall() == []


@pytest.mark.parametrize("url", ["url", "queries_url"])
def test_no_role_that_runs_statements_has_more_than_its_database(postgres: EmbeddedPostgres, url: str) -> None:
    own = getattr(postgres, url)
    with psycopg.connect(own) as connection:
        reachable = "SELECT datname FROM pg_database WHERE datallowconn AND has_database_privilege(datname, 'CONNECT')"
        assert connection.execute(reachable).fetchall() == [(connection.info.dbname,)]
        (rights,) = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,"
            " EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid)"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchall()

    assert set(rights) == {False}
    check_roles(Settings.model_validate({"databases": {"default": {"url": own}}}))


ANOTHER_USER = """
import os, sys, psycopg
os.setgroups([]), os.setgid(65534), os.setuid(65534)
for path in sys.argv[2:]:
    try:
        print(os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(10))
    except PermissionError:
        print("denied")
try:
    psycopg.connect(sys.argv[1], connect_timeout=5)
except psycopg.OperationalError as exc:
    print("denied" if "Permission denied" in str(exc) else exc)
"""


def test_another_user_of_the_machine_reaches_neither_files_nor_socket(postgres: EmbeddedPostgres) -> None:
    paths = [postgres.cluster_dir, postgres.cluster_dir / "PG_VERSION", postgres.log_file, postgres.socket_dir]

    assert [postgres.data_dir.stat().st_mode & 0o067, postgres.socket_dir.stat().st_mode & 0o077] == [0, 0]
    if os.geteuid() == 0:  # then the tests can be another user
        command = [sys.executable, "-c", ANOTHER_USER, postgres.superuser_url, *map(str, paths)]
        seen = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        assert seen.split() == ["denied"] * 5
