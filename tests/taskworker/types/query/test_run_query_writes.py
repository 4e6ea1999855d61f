"""`run_query` on a writable database."""

from __future__ import annotations

import pytest

from taskworker.types.query.run_query import RunQuery
from tests.taskworker.types.databases import query
from tests.taskworker.types.environments import database_environment


def test_write_is_committed_and_counted(empty_database_url: str) -> None:
    query(empty_database_url, "CREATE TABLE t (n int)")
    env = database_environment(empty_database_url, read_only=False)

    result = env.run(RunQuery, query="INSERT INTO t SELECT generate_series(1, %s)", arguments=[5])

    assert result == {"columns": [], "rows": [], "row_count": 5, "truncated": False}
    assert query(empty_database_url, "SELECT count(*) FROM t") == [(5,)]


def test_write_with_a_truncated_result_is_complete(empty_database_url: str) -> None:
    query(empty_database_url, "CREATE TABLE t (n int)")
    env = database_environment(empty_database_url, read_only=False, max_rows=2)

    result = env.run(RunQuery, query="INSERT INTO t SELECT generate_series(1, 1000) RETURNING n")

    assert result == {"columns": ["n"], "rows": [[1], [2]], "row_count": 1000, "truncated": True}
    assert query(empty_database_url, "SELECT count(*) FROM t") == [(1000,)]


def test_ddl_is_committed(empty_database_url: str) -> None:
    env = database_environment(empty_database_url, read_only=False)

    result = env.run(RunQuery, query="CREATE TABLE t (n int)")

    assert result["row_count"] == 0
    assert query(empty_database_url, "SELECT * FROM t") == []


def test_deferred_constraint_fails_permanently_and_rolls_back(empty_database_url: str) -> None:
    query(empty_database_url, "CREATE TABLE t (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    env = database_environment(empty_database_url, read_only=False)

    outcome = env.run(RunQuery, query="INSERT INTO t VALUES (1), (1)")

    assert "(SQLSTATE 23505)" in outcome.error
    assert query(empty_database_url, "SELECT count(*) FROM t") == [(0,)]


@pytest.mark.parametrize("statement", ["COPY t FROM STDIN", "COPY t TO STDOUT", "VACUUM t"])
def test_statement_that_cannot_run_in_a_transaction_fails_permanently(empty_database_url: str, statement: str) -> None:
    query(empty_database_url, "CREATE TABLE t (n int)")

    outcome = database_environment(empty_database_url, read_only=False).run(RunQuery, query=statement)

    assert outcome.reason == "query_refused"
