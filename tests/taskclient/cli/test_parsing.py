"""Parsers of command line values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from taskclient.cli.parsing import parse_parameter, parse_time

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("true", True),
        ("null", None),
        ('"5"', "5"),
        ('{"a": [1]}', {"a": [1]}),
        ("hello", "hello"),
        ("", ""),
        ("007", "007"),
        ("NaN", "NaN"),
        ("1e999", "1e999"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_parameter_is_json_or_else_text(text: str, value: Any) -> None:
    assert parse_parameter(f"key={text}") == ("key", value)


@pytest.mark.parametrize(
    ("text", "later"),
    [
        ("+30s", timedelta(seconds=30)),
        ("+5m", timedelta(minutes=5)),
        ("+2h", timedelta(hours=2)),
        ("+1d", timedelta(days=1)),
        ("+1.5h", timedelta(minutes=90)),
    ],
)
def test_delay_counts_from_now(text: str, later: timedelta) -> None:
    assert parse_time(text, NOW) == NOW + later


@pytest.mark.parametrize("text", ["2030-01-02T03:04:05Z", "2030-01-02T05:04:05+02:00", "2030-01-02 03:04:05+00:00"])
def test_time_keeps_its_zone(text: str) -> None:
    assert parse_time(text, NOW) == NOW


@pytest.mark.parametrize("text", ["30s", "+30", "+5 m", "-5m", "+5w", "2030-01-02", "soon", ""])
def test_invalid_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither|time zone"):
        parse_time(text, NOW)
