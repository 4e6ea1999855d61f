"""Conversion of PostgreSQL values to JSON by `run_query`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taskworker.types.query.run_query import RunQuery
from tests.taskworker.types.databases import query
from tests.taskworker.types.environments import database_environment


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
        ("'{\"a\": [1, null, 2.5]}'::jsonb", {"a": [1, None, 2.5]}),
        ("'[1e400, 123456789012345678901234567890]'::json", ["Infinity", "123456789012345678901234567890"]),
        ("to_jsonb(trunc(10::numeric ^ 5000))", "1" + "0" * 5000),
        ("ARRAY[to_json(-trunc(10::numeric ^ 5000))]", ["-1" + "0" * 5000]),
        ("(repeat('[', 52) || repeat(']', 52))::json", json.loads("[" * 52 + "]" * 52)),
        ("(repeat('[', 60) || repeat(']', 60))::jsonb", "[" * 60 + "]" * 60),
        ("(repeat('[', 3000) || repeat(']', 3000))::json", "[" * 3000 + "]" * 3000),
        ("(repeat('{\"a\": ', 1200) || 'null' || repeat('}', 1200))::json", '{"a": ' * 1200 + "null" + "}" * 1200),
        ("'1 year -3 days'::interval", "P1Y-3D"),
        ("'\\x00'::bytea || '\\xff'", "\\x00ff"),
    ],
)
def test_value_that_json_lacks_becomes_text(empty_database_url: str, expression: str, value: Any) -> None:
    result = database_environment(empty_database_url).run(RunQuery, query=f"SELECT {expression}")

    assert result["rows"] == [[value]]


@pytest.mark.parametrize(("zone", "shown"), [("UTC", "12:00:00+00:00"), ("Asia/Kolkata", "17:30:00+05:30")])
def test_timestamptz_is_in_the_databases_time_zone(empty_database_url: str, zone: str, shown: str) -> None:
    name = empty_database_url.partition("?")[0].rpartition("/")[2]
    query(empty_database_url, f"ALTER DATABASE \"{name}\" SET TimeZone = '{zone}'")

    result = database_environment(empty_database_url).run(RunQuery, query="SELECT TIMESTAMPTZ '2026-01-31 12:00:00Z'")

    assert result["rows"] == [[f"2026-01-31T{shown}"]]
