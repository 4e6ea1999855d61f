"""`run_query` against PostgreSQL: rows, arguments, limits, and permanent and temporary errors."""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg
import pytest

from harness.ports import free_port
from taskcore.plugins import Fail
from taskcore.testing import parse_parameters
from taskworker.types.query.run_query import RunQuery
from tests.taskworker.types.environments import database_environment, make_environment


def test_rows_come_with_their_columns(empty_database_url: str) -> None:
    result = database_environment(empty_database_url).run(RunQuery, query="VALUES (1, 'one'), (2, NULL)")

    assert result == {
        "columns": ["column1", "column2"],
        "rows": [[1, "one"], [2, None]],
        "row_count": 2,
        "truncated": False,
    }


def test_query_without_rows_names_its_columns(empty_database_url: str) -> None:
    result = database_environment(empty_database_url).run(RunQuery, query="SELECT 1 AS one, 2 AS one WHERE false")

    assert result == {"columns": ["one", "one"], "rows": [], "row_count": 0, "truncated": False}


def test_arguments_are_bound_by_position(empty_database_url: str) -> None:
    arguments = ["it's; --", 2, 0.5, True, None]

    result = database_environment(empty_database_url).run(
        RunQuery,
        query="SELECT %s::text, %s + 1, %s::float8, %s::boolean, %s::int, 7 %% 4",
        arguments=arguments,
    )

    assert result["rows"] == [["it's; --", 3, 0.5, True, None, 3]]


def test_arguments_are_bound_by_name(empty_database_url: str) -> None:
    result = database_environment(empty_database_url).run(
        RunQuery,
        query="SELECT %(a)s::int, %(b)s::text, %(a)s + 1",
        arguments={"b": "x", "a": 1, "unused": 0},
    )

    assert result["rows"] == [[1, "x", 2]]


def test_percent_sign_is_literal_without_arguments(empty_database_url: str) -> None:
    result = database_environment(empty_database_url).run(RunQuery, query="SELECT 'abc' LIKE '%c', 7 % 4, '%s'")

    assert result["rows"] == [[True, 3, "%s"]]


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        ("SELECT %s", []),
        ("SELECT 1", [1]),
        ("SELECT %(a)s", {"b": 1}),
        ("SELECT %(a)s", [1]),
        ("SELECT %s", {"a": 1}),
        ("SELECT %d", [1]),
        ("SELECT 1 %", [1]),
        ("SELECT %s", [[1]]),
        ("SELECT %s", [{"a": 1}]),
    ],
)
def test_arguments_that_do_not_match_the_query_are_refused(statement: str, arguments: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        parse_parameters(RunQuery, query=statement, arguments=arguments)


def test_configured_row_limit_applies(empty_database_url: str) -> None:
    env = database_environment(empty_database_url, max_rows=3)

    result = env.run(RunQuery, query="SELECT generate_series(1, 4)", max_rows=100)

    assert result["rows"] == [[1], [2], [3]]
    assert result["row_count"] == 3
    assert result["truncated"] is True


def test_task_can_lower_the_row_limit(empty_database_url: str) -> None:
    env = database_environment(empty_database_url, max_rows=3)

    result = env.run(RunQuery, query="SELECT generate_series(1, 2)", max_rows=1)

    assert result["rows"] == [[1]]
    assert result["truncated"] is True


def test_result_of_exactly_the_row_limit_is_not_truncated(empty_database_url: str) -> None:
    result = database_environment(empty_database_url).run(RunQuery, query="SELECT generate_series(1, 3)", max_rows=3)

    assert result["row_count"] == 3
    assert result["truncated"] is False


def test_a_billion_rows_are_truncated(empty_database_url: str) -> None:
    result = database_environment(empty_database_url).run(
        RunQuery, query="SELECT generate_series(1, 1000000000)", max_rows=2
    )

    assert result["rows"] == [[1], [2]]
    assert result["truncated"] is True


def test_rows_are_truncated_at_the_size_limit(empty_database_url: str) -> None:
    statement = "SELECT repeat('x', 100000) FROM generate_series(1, 100)"

    result = database_environment(empty_database_url).run(RunQuery, query=statement)

    assert result["row_count"] == 5
    assert result["truncated"] is True


def test_unknown_database_fails_with_the_configured_names() -> None:
    databases = {name: {"url": "postgresql://localhost/x"} for name in ("orders", "billing")}

    outcome = make_environment(databases=databases).run(RunQuery, query="SELECT 1", database="oders")

    assert outcome == Fail("no database is configured as 'oders'; configured: billing, orders", "unknown_database")


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        ("SELEKT 1", "42601"),
        ("SELECT * FROM nowhere", "42P01"),
        ("SELECT nothing", "42703"),
        ("SELECT 1; SELECT 2", "42601"),
        ("SELECT 1/0", "22012"),
        ("SELECT 'x'::int", "22P02"),
    ],
)
def test_permanent_error_fails_permanently(empty_database_url: str, statement: str, state: str) -> None:
    outcome = database_environment(empty_database_url).run(RunQuery, query=statement)

    assert outcome.reason == "query_refused"
    assert f"(SQLSTATE {state})" in outcome.error


def test_statement_timeout_is_retried(empty_database_url: str) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        database_environment(empty_database_url, timeout_s=0.1).run(RunQuery, query="SELECT pg_sleep(600)")


def test_statement_cannot_lift_its_timeout(empty_database_url: str) -> None:
    statement = "SELECT set_config('statement_timeout', '0', false), pg_sleep(600)"

    with pytest.raises(psycopg.errors.QueryCanceled):
        database_environment(empty_database_url, timeout_s=0.1).run(RunQuery, query=statement)


def test_lost_connection_is_retried(empty_database_url: str) -> None:
    statement = "SELECT pg_terminate_backend(pg_backend_pid())"

    with pytest.raises(psycopg.OperationalError):
        database_environment(empty_database_url).run(RunQuery, query=statement)


def test_unreachable_database_is_retried_without_its_url_in_the_error() -> None:
    url = f"postgresql://keeper:hidden@127.0.0.1:{free_port()}/orders"

    with pytest.raises(ConnectionError) as failure:
        database_environment(url).run(RunQuery, query="SELECT 1")

    assert str(failure.value) == "database 'default' cannot be reached"
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__


def test_application_name_contains_the_task_id(empty_database_url: str) -> None:
    result = database_environment(empty_database_url).run(RunQuery, query="SHOW application_name")

    assert result["rows"] == [["taskcore task 7"]]


@pytest.mark.parametrize("state", ["40001", "40P01", "53100", "55P03", "57P01", "58030"])
def test_temporary_error_is_retried(empty_database_url: str, state: str) -> None:
    env = database_environment(empty_database_url, read_only=False)

    with pytest.raises(psycopg.Error) as failure:
        env.run(RunQuery, query=f"DO $$BEGIN RAISE SQLSTATE '{state}'; END$$")

    assert failure.value.sqlstate == state
