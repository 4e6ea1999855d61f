"""Attempts to write to a read-only database with `run_query`, as a superuser: no missing privilege hides one."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskcore.plugins import Fail
from taskworker.types.query.run_query import RunQuery
from tests.taskworker.types.databases import query
from tests.taskworker.types.environments import database_environment

SCHEMA = """
CREATE TABLE t (n int);
INSERT INTO t VALUES (1);
CREATE SEQUENCE s;
CREATE FUNCTION add_row() RETURNS int LANGUAGE plpgsql AS $$
BEGIN INSERT INTO t VALUES (2); RETURN 2; END $$;
CREATE FUNCTION unlock() RETURNS int LANGUAGE plpgsql AS $$
BEGIN SET TRANSACTION READ WRITE; INSERT INTO t VALUES (2); RETURN 2; END $$;
CREATE PROCEDURE commit_and_add(INOUT n int) LANGUAGE plpgsql AS $$
BEGIN COMMIT; INSERT INTO t VALUES (2); COMMIT; END $$;
"""

WRITES = [
    "DELETE FROM t",
    "DELETE FROM t RETURNING n",
    "INSERT INTO t VALUES (2) RETURNING n",
    "UPDATE t SET n = 2 RETURNING n",
    "MERGE INTO t USING (VALUES (1)) v (n) ON t.n = v.n WHEN MATCHED THEN DELETE RETURNING t.n",
    "WITH gone AS (DELETE FROM t RETURNING n) SELECT * FROM gone",
    "EXPLAIN ANALYZE DELETE FROM t",
    "SELECT 1 AS n INTO extra",
    "SELECT n FROM t FOR UPDATE",
    "SELECT nextval('s')",
    "SELECT add_row()",
    "SELECT unlock()",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT query_to_xml('DELETE FROM t RETURNING n', true, true, '')",
    "TRUNCATE t",
    "DROP TABLE t",
    "CREATE TABLE extra (n int)",
    "CREATE TABLE extra AS SELECT 1 AS n",
    "DO $$BEGIN INSERT INTO t VALUES (2); END$$",
    "CALL commit_and_add(1)",
    "COPY t FROM PROGRAM 'echo 2'",
    "ALTER SYSTEM SET work_mem = '1GB'",
    "VACUUM t",
]

UNLOCKS = [
    "SET TRANSACTION READ WRITE",
    "SET transaction_read_only = off",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "SET default_transaction_read_only = off",
    "RESET ALL",
    "DISCARD ALL",
    "COMMIT",
    "COMMIT AND CHAIN",
    "ROLLBACK",
    "ABORT",
    "END",
    "BEGIN READ WRITE",
    "SAVEPOINT a",
    "PREPARE w AS DELETE FROM t",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "LISTEN a",
    "NOTIFY a",
    "LOAD 'auto_explain'",
    ";",
    "-- nothing",
]

EXIT_AND_WRITE = [
    "COMMIT; DELETE FROM t",
    "ROLLBACK; DELETE FROM t",
    "SELECT 1; COMMIT; DELETE FROM t",
    "SET TRANSACTION READ WRITE; DELETE FROM t",
    "SELECT 1; DELETE FROM t",
    "/* ; */ COMMIT; -- \n DELETE FROM t",
    ";COMMIT;DELETE FROM t;",
]


@pytest.fixture
def url(empty_database_url: str) -> str:
    query(empty_database_url, SCHEMA)
    return empty_database_url


def assert_untouched(url: str) -> None:
    assert query(url, "SELECT n FROM t") == [(1,)]
    assert query(url, "SELECT is_called FROM s") == [(False,)]
    assert query(url, "SELECT to_regclass('extra')") == [(None,)]
    assert query(url, "SELECT count(*) FROM pg_largeobject_metadata") == [(0,)]


@pytest.mark.parametrize("arguments", [None, []], ids=["verbatim", "with arguments"])
@pytest.mark.parametrize("statement", WRITES + EXIT_AND_WRITE)
def test_write_fails_permanently_and_changes_nothing(url: str, statement: str, arguments: list[int] | None) -> None:
    outcome = database_environment(url).run(RunQuery, query=statement, arguments=arguments)

    assert isinstance(outcome, Fail)
    assert outcome.reason in ("query_refused", "read_only")
    assert_untouched(url)


@pytest.mark.parametrize("statement", UNLOCKS)
def test_statement_without_rows_does_not_run(url: str, statement: str) -> None:
    outcome = database_environment(url).run(RunQuery, query=statement)

    assert outcome == Fail(
        "database 'default' is read-only: only a statement that returns rows may run", reason="read_only"
    )


@pytest.mark.parametrize("name", ["transaction_read_only", "default_transaction_read_only"])
@pytest.mark.parametrize("is_local", ["true", "false"])
def test_setting_does_not_make_the_transaction_writable(url: str, name: str, is_local: str) -> None:
    statement = f"SELECT set_config('{name}', 'off', {is_local}), add_row()"

    outcome = database_environment(url).run(RunQuery, query=statement)

    assert isinstance(outcome, Fail)
    assert_untouched(url)


@pytest.mark.parametrize("prefix", ["", "/* SELECT 1 */ ", "-- SELECT 1\n", ";"])
@pytest.mark.parametrize("arguments", [None, []], ids=["verbatim", "with arguments"])
@pytest.mark.parametrize("target", ["PROGRAM 'cat > {file}'", "'{file}'"])
def test_server_files_and_programs_cannot_be_written(
    url: str, tmp_path: Path, prefix: str, arguments: list[int] | None, target: str
) -> None:
    tmp_path.chmod(0o777)
    file = tmp_path / "out"
    statement = f"{prefix}COPY (SELECT 1) TO {target.format(file=file)}"

    outcome = database_environment(url).run(RunQuery, query=statement, arguments=arguments)

    assert outcome.reason == "read_only"
    assert not file.exists()


@pytest.mark.parametrize("kind", ["TABLE", "MATERIALIZED VIEW"])
def test_write_that_read_only_permits_is_rolled_back(url: str, kind: str) -> None:
    database_environment(url).run(RunQuery, query=f"EXPLAIN ANALYZE CREATE {kind} extra AS SELECT 1 AS n")

    assert_untouched(url)


def test_function_cannot_copy_to_a_program(url: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    file = tmp_path / "out"
    statement = "SELECT query_to_xml(%s, true, true, '')"

    outcome = database_environment(url).run(
        RunQuery,
        query=statement,
        arguments=[f"COPY (SELECT 1) TO PROGRAM 'cat > {file}'"],
    )

    assert outcome.reason == "query_refused"
    assert not file.exists()


def test_argument_cannot_change_the_checked_statement(url: str) -> None:
    statement = "/* %s */ DELETE FROM t RETURNING n"

    outcome = database_environment(url).run(RunQuery, query=statement, arguments=["*/ SELECT 1 --"])

    assert isinstance(outcome, Fail)
    assert_untouched(url)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT n FROM t",
        "TABLE t",
        "VALUES (1)",
        "WITH one AS (SELECT 1) SELECT * FROM one",
        "EXPLAIN SELECT n FROM t",
        "EXPLAIN (ANALYZE, FORMAT JSON) SELECT n FROM t",
        "SHOW server_version",
        "SELECT n FROM t;",
        "-- how many\nSELECT count(*) FROM t",
    ],
)
def test_every_way_to_read_works(url: str, statement: str) -> None:
    result = database_environment(url).run(RunQuery, query=statement)

    assert result["row_count"] >= 1
