"""`run_query` on a database that may be written to."""

from __future__ import annotations

import pytest

from taskworker.types.query.run_query import RunQuery
from tests.taskworker.types.contexts import run
from tests.taskworker.types.databases import database_context, query


def test_a_write_is_committed_and_counted(empty_database_url: str) -> None:
    query(empty_database_url, "CREATE TABLE t (n int)")
    ctx = database_context(empty_database_url, read_only=False)

    result = run(RunQuery, ctx, query="INSERT INTO t SELECT generate_series(1, %s)", arguments=[5])

    assert result == {"columns": [], "rows": [], "row_count": 5, "truncated": False}
    assert query(empty_database_url, "SELECT count(*) FROM t") == [(5,)]


def test_a_write_that_returns_more_rows_than_allowed_is_whole_all_the_same(empty_database_url: str) -> None:
    query(empty_database_url, "CREATE TABLE t (n int)")
    ctx = database_context(empty_database_url, read_only=False, max_rows=2)

    result = run(RunQuery, ctx, query="INSERT INTO t SELECT generate_series(1, 1000) RETURNING n")

    assert result == {"columns": ["n"], "rows": [[1], [2]], "row_count": 1000, "truncated": True}
    assert query(empty_database_url, "SELECT count(*) FROM t") == [(1000,)]


def test_a_statement_about_tables_is_committed(empty_database_url: str) -> None:
    ctx = database_context(empty_database_url, read_only=False)

    result = run(RunQuery, ctx, query="CREATE TABLE t (n int)")

    assert result["row_count"] == 0
    assert query(empty_database_url, "SELECT * FROM t") == []


def test_a_write_against_a_deferred_constraint_fails_for_good_and_leaves_nothing(empty_database_url: str) -> None:
    query(empty_database_url, "CREATE TABLE t (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    ctx = database_context(empty_database_url, read_only=False)

    outcome = run(RunQuery, ctx, query="INSERT INTO t VALUES (1), (1)")

    assert "(SQLSTATE 23505)" in outcome.error
    assert query(empty_database_url, "SELECT count(*) FROM t") == [(0,)]


@pytest.mark.parametrize("statement", ["COPY t FROM STDIN", "COPY t TO STDOUT", "VACUUM t"])
def test_what_needs_a_session_of_its_own_fails_for_good(empty_database_url: str, statement: str) -> None:
    query(empty_database_url, "CREATE TABLE t (n int)")

    outcome = run(RunQuery, database_context(empty_database_url, read_only=False), query=statement)

    assert outcome.reason == "query_refused"
