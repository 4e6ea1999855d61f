"""`run_query` against a real PostgreSQL: what goes in, what comes out, and which errors are final."""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg
import pytest

from taskcore.plugins import Fail
from taskworker.types.run_query import RunQuery
from tests.support.ports import free_port
from tests.types.contexts import make_context, parse, run
from tests.types.databases import database_context, query


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


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("true", True),
        ("9223372036854775807", 9223372036854775807),
        ("0.1::float8", 0.1),
        ("'NaN'::float8", "NaN"),
        ("'-Infinity'::float4", "-Infinity"),
        ("12345678901234567890.123456789", "12345678901234567890.123456789"),
        ("'a'::\"char\"", "a"),
        ("'bücher'", "bücher"),
        ("DATE '2026-01-31'", "2026-01-31"),
        ("TIME '12:30:00.5'", "12:30:00.5"),
        ("TIMESTAMP '2026-01-31 12:30:00.25'", "2026-01-31T12:30:00.25"),
        ("TIMESTAMPTZ '2026-01-31 12:30:00Z' AT TIME ZONE 'UTC'", "2026-01-31T12:30:00"),
        ("TIMESTAMPTZ 'infinity'", "infinity"),
        ("TIMESTAMP '0044-03-15 12:00:00 BC'", "0044-03-15 12:00:00 BC"),
        ("DATE '20260-01-31'", "20260-01-31"),
        ("INTERVAL '1 day 2 hours'", "P1DT2H"),
        ("'f47ac10b-58cc-4372-a567-0e02b2c3d479'::uuid", "f47ac10b-58cc-4372-a567-0e02b2c3d479"),
        ("'\\x00ff'::bytea", "\\x00ff"),
        ("int4range(1, 5)", "[1,5)"),
        ("inet '10.0.0.1/8'", "10.0.0.1/8"),
        ("ROW(1, 'a')", "(1,a)"),
        ("ARRAY[1, 2, NULL]", [1, 2, None]),
        ("ARRAY[1.50, 2]", ["1.50", "2"]),
        ("ARRAY[[TIMESTAMP '2026-01-31 12:30']]", [["2026-01-31T12:30:00"]]),
        ('\'{"a": [1, null, 2.5]}\'::jsonb', {"a": [1, None, 2.5]}),
        ("'[1e400, 123456789012345678901234567890]'::json", ["Infinity", "123456789012345678901234567890"]),
    ],
)
def test_a_value_that_json_lacks_becomes_text(empty_database_url: str, expression: str, value: Any) -> None:
    result = run(RunQuery, database_context(empty_database_url), query=f"SELECT {expression}")

    assert result["rows"] == [[value]]


@pytest.mark.parametrize(("zone", "shown"), [("UTC", "12:00:00+00:00"), ("Asia/Kolkata", "17:30:00+05:30")])
def test_a_time_with_a_zone_is_given_in_the_databases_own(empty_database_url: str, zone: str, shown: str) -> None:
    name = empty_database_url.partition("?")[0].rpartition("/")[2]
    query(empty_database_url, f"ALTER DATABASE \"{name}\" SET TimeZone = '{zone}'")

    result = run(RunQuery, database_context(empty_database_url), query="SELECT TIMESTAMPTZ '2026-01-31 12:00:00Z'")

    assert result["rows"] == [[f"2026-01-31T{shown}"]]


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
