"""`run_query` against a real PostgreSQL: its rows, its arguments, its bounds, and which errors are final."""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg
import pytest

from harness.ports import free_port
from taskcore.plugins import Fail
from taskworker.types.query.run_query import RunQuery
from tests.taskworker.types.contexts import make_context, parse, run
from tests.taskworker.types.databases import database_context


def test_rows_come_with_their_columns(empty_database_url: str) -> None:
    result = run(RunQuery, database_context(empty_database_url), query="VALUES (1, 'one'), (2, NULL)")

    assert result == {
        "columns": ["column1", "column2"],
        "rows": [[1, "one"], [2, None]],
        "row_count": 2,
        "truncated": False,
    }


def test_a_query_without_rows_still_names_its_columns(empty_database_url: str) -> None:
    result = run(RunQuery, database_context(empty_database_url), query="SELECT 1 AS one, 2 AS one WHERE false")

    assert result == {"columns": ["one", "one"], "rows": [], "row_count": 0, "truncated": False}


def test_arguments_are_bound_by_position(empty_database_url: str) -> None:
    arguments = ["it's; --", 2, 0.5, True, None]

    result = run(
        RunQuery,
        database_context(empty_database_url),
        query="SELECT %s::text, %s + 1, %s::float8, %s::boolean, %s::int, 7 %% 4",
        arguments=arguments,
    )

    assert result["rows"] == [["it's; --", 3, 0.5, True, None, 3]]


def test_arguments_are_bound_by_name(empty_database_url: str) -> None:
    result = run(
        RunQuery,
        database_context(empty_database_url),
        query="SELECT %(a)s::int, %(b)s::text, %(a)s + 1",
        arguments={"b": "x", "a": 1, "unused": 0},
    )

    assert result["rows"] == [[1, "x", 2]]


def test_without_arguments_a_per_cent_sign_is_one(empty_database_url: str) -> None:
    result = run(RunQuery, database_context(empty_database_url), query="SELECT 'abc' LIKE '%c', 7 % 4, '%s'")

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
def test_arguments_that_do_not_fit_the_query_are_bad_parameters(statement: str, arguments: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        parse(RunQuery, query=statement, arguments=arguments)


def test_no_more_rows_come_than_are_configured(empty_database_url: str) -> None:
    ctx = database_context(empty_database_url, max_rows=3)

    result = run(RunQuery, ctx, query="SELECT generate_series(1, 4)", max_rows=100)

    assert result["rows"] == [[1], [2], [3]]
    assert result["row_count"] == 3
    assert result["truncated"] is True


def test_a_task_may_ask_for_fewer_rows(empty_database_url: str) -> None:
    ctx = database_context(empty_database_url, max_rows=3)

    result = run(RunQuery, ctx, query="SELECT generate_series(1, 2)", max_rows=1)

    assert result["rows"] == [[1]]
    assert result["truncated"] is True


def test_exactly_as_many_rows_as_allowed_are_all_of_them(empty_database_url: str) -> None:
    result = run(RunQuery, database_context(empty_database_url), query="SELECT generate_series(1, 3)", max_rows=3)

    assert result["row_count"] == 3
    assert result["truncated"] is False


def test_a_billion_rows_end_with_the_first_few(empty_database_url: str) -> None:
    result = run(
        RunQuery, database_context(empty_database_url), query="SELECT generate_series(1, 1000000000)", max_rows=2
    )

    assert result["rows"] == [[1], [2]]
    assert result["truncated"] is True


def test_rows_end_where_their_text_grows_too_long(empty_database_url: str) -> None:
    statement = "SELECT repeat('x', 100000) FROM generate_series(1, 100)"

    result = run(RunQuery, database_context(empty_database_url), query=statement)

    assert result["row_count"] == 5
    assert result["truncated"] is True


def test_an_unknown_database_fails_with_the_names_that_are_known() -> None:
    databases = {name: {"url": "postgresql://localhost/x"} for name in ("orders", "billing")}

    outcome = run(RunQuery, make_context(databases=databases), query="SELECT 1", database="oders")

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
def test_a_statement_that_can_only_fail_again_fails_for_good(
    empty_database_url: str, statement: str, state: str
) -> None:
    outcome = run(RunQuery, database_context(empty_database_url), query=statement)

    assert outcome.reason == "query_refused"
    assert f"(SQLSTATE {state})" in outcome.error


def test_a_statement_that_takes_too_long_is_stopped_and_worth_another_attempt(empty_database_url: str) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        run(RunQuery, database_context(empty_database_url, timeout_s=0.1), query="SELECT pg_sleep(600)")


def test_the_statement_itself_cannot_lift_its_time_limit(empty_database_url: str) -> None:
    statement = "SELECT set_config('statement_timeout', '0', false), pg_sleep(600)"

    with pytest.raises(psycopg.errors.QueryCanceled):
        run(RunQuery, database_context(empty_database_url, timeout_s=0.1), query=statement)


def test_a_lost_connection_is_worth_another_attempt(empty_database_url: str) -> None:
    statement = "SELECT pg_terminate_backend(pg_backend_pid())"

    with pytest.raises(psycopg.OperationalError):
        run(RunQuery, database_context(empty_database_url), query=statement)


@pytest.mark.parametrize("rest", ["/orders", "/orders?unheard_of=1", "bad/orders"])
def test_a_database_that_cannot_be_reached_is_worth_another_attempt_and_keeps_its_url_secret(rest: str) -> None:
    url = f"postgresql://keeper:hidden@127.0.0.1:{free_port()}{rest}"

    with pytest.raises(ConnectionError) as failure:
        run(RunQuery, database_context(url), query="SELECT 1")

    assert str(failure.value) == "database 'default' cannot be reached"
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__


def test_the_database_can_tell_which_task_is_asking(empty_database_url: str) -> None:
    result = run(RunQuery, database_context(empty_database_url), query="SHOW application_name")

    assert result["rows"] == [["taskcore task 7"]]


@pytest.mark.parametrize("state", ["40001", "40P01", "53100", "55P03", "57P01", "58030"])
def test_what_may_end_well_the_next_time_is_worth_another_attempt(empty_database_url: str, state: str) -> None:
    ctx = database_context(empty_database_url, read_only=False)

    with pytest.raises(psycopg.Error) as failure:
        run(RunQuery, ctx, query=f"DO $$BEGIN RAISE SQLSTATE '{state}'; END$$")

    assert failure.value.sqlstate == state
