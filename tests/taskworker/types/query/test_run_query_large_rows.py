"""Rows that are too large to be kept: `run_query` leaves them in the database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taskworker.types.query.run_query import RunQuery
from tests.taskworker.types.databases import query
from tests.taskworker.types.environments import database_environment

LARGE = "repeat('x', 60000000)"
MAX_GROWTH_KB = 20_000


@contextmanager
def little_memory() -> Iterator[None]:
    """Check that the peak of this process's memory hardly grows."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is forgotten
    before = peak_kb()
    yield
    assert peak_kb() - before < MAX_GROWTH_KB


def peak_kb() -> int:
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match
    return int(match[1])


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT {LARGE}",
        f"SELECT {LARGE}; -- the end;",
        f"SELECT ARRAY[1, 2], convert_to({LARGE}, 'UTF8')",
        f"WITH t AS (SELECT {LARGE}) TABLE t",
        f"SELECT to_jsonb({LARGE})",
    ],
)
def test_large_row_is_left_out_and_takes_no_memory(empty_database_url: str, statement: str) -> None:
    with little_memory():
        result = database_environment(empty_database_url).run(RunQuery, query=statement)

    assert result["rows"] == []
    assert result["truncated"] is True


def test_rows_before_a_large_one_are_kept(empty_database_url: str) -> None:
    statement = f"SELECT n, CASE WHEN n = 3 THEN {LARGE} END FROM generate_series(1, 5) n"

    with little_memory():
        result = database_environment(empty_database_url).run(RunQuery, query=statement)

    assert result["rows"] == [[1, None], [2, None]]
    assert result["truncated"] is True


def test_write_that_returns_a_large_row_is_complete(empty_database_url: str) -> None:
    query(empty_database_url, "CREATE TABLE t (n int, large text)")
    statement = f"INSERT INTO t SELECT n, CASE WHEN n = 2 THEN {LARGE} END FROM generate_series(1, 3) n RETURNING *"

    with little_memory():
        result = database_environment(empty_database_url, read_only=False).run(RunQuery, query=statement)

    assert (result["rows"], result["row_count"], result["truncated"]) == ([[1, None]], 3, True)
    assert query(empty_database_url, "SELECT count(*) FROM t") == [(3,)]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 AS n;",
        "SELECT 1 AS n -- ;",
        "SELECT 1 AS n; /* ; */ ;; -- the end",
        "SELECT length('; -- ') - 4 AS n",
        "WITH one AS (SELECT 1 AS n) SELECT n FROM one",
        "SELECT 1 AS n, 1 AS n",
        "SELECT pg_typeof(1)::text = 'x' AS n, pg_sleep(0)",
        "SELECT ROW(1, 'a') AS n",
        "SELECT n FROM generate_series(1, 3) n ORDER BY n DESC FOR UPDATE",
        "SELECT $$;$$ AS n;",
    ],
)
def test_wrapped_query_returns_what_it_returns_alone(empty_database_url: str, statement: str) -> None:
    alone = query(empty_database_url, statement.partition("-- the")[0])

    result = database_environment(empty_database_url).run(RunQuery, query=statement)

    assert result["columns"][0] in ("n", "?column?")
    assert result["row_count"] == len(alone)


@pytest.mark.parametrize(
    "statement", ["SELECT", "SELECT FROM generate_series(1, 3)", "SELECT FROM pg_class WHERE false"]
)
def test_query_without_columns_has_empty_rows(empty_database_url: str, statement: str) -> None:
    rows = len(query(empty_database_url, f"SELECT 1 FROM ({statement}) q"))

    result = database_environment(empty_database_url).run(RunQuery, query=statement)

    assert result == {"columns": [], "rows": [[]] * rows, "row_count": rows, "truncated": False}


def test_data_modifying_with_still_works(empty_database_url: str) -> None:
    query(empty_database_url, "CREATE TABLE t AS SELECT generate_series(1, 3) AS n")
    env = database_environment(empty_database_url, read_only=False)

    result = env.run(RunQuery, query="WITH gone AS (DELETE FROM t WHERE n < 3 RETURNING n) SELECT count(*) FROM gone")

    assert result["rows"] == [[2]]
    assert query(empty_database_url, "SELECT n FROM t") == [(3,)]


def test_each_value_is_computed_once(empty_database_url: str) -> None:
    query(empty_database_url, "CREATE SEQUENCE calls")
    counted = (
        "CREATE FUNCTION counted() RETURNS bigint LANGUAGE plpgsql STABLE AS $$BEGIN RETURN nextval('calls'); END$$"
    )
    query(empty_database_url, counted)

    result = database_environment(empty_database_url, read_only=False).run(
        RunQuery, query="SELECT counted(), n FROM generate_series(1, 3) n"
    )

    assert result["rows"] == [[1, 1], [2, 2], [3, 3]]
