"""Invalid configured metrics are refused at start, with their settings."""

from __future__ import annotations

import pytest

from collector_analytics.validation import validate_configured_metrics
from taskcore.errors import InvalidSettings
from taskcore.settings import load_settings
from tests.collector_analytics.product_settings import NO_DATABASE, queries, settings_of


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT name FROM scene", "the query's column 'name' is not a number"),
        ("SELECT id, name FROM scene", "the query's column 'name' is not a number"),
        ("SELECT name, id, id FROM scene", "returns 3 columns"),
        ("DELETE FROM scene", "returns 0 columns"),
        ("SELECT count(*) FROM scenery", 'relation "scenery" does not exist'),
        ("SELECT count(*) FROM scene; SELECT 1", "multiple commands"),
        ("SELECT count(*) FROM scene WHERE id = $1", "has parameters"),
        ("SELECT now()", "is not a number"),
    ],
)
def test_an_invalid_query_is_refused_with_its_setting(product_url: str, sql: str, message: str) -> None:
    settings = settings_of(queries(product_url, {"activeScenes": sql, "good": "SELECT name, id FROM scene"}))

    with pytest.raises(InvalidSettings) as refused:
        validate_configured_metrics(settings)

    (line,) = str(refused.value).splitlines()
    assert line.startswith("TASKCORE_ANALYTICS__QUERIES__ACTIVESCENES__SQL: ")
    assert message in line


def test_a_query_is_checked_without_running_it(product_url: str) -> None:
    validate_configured_metrics(settings_of(queries(product_url, {"slow": "SELECT count(pg_sleep(600))"})))


def test_unknown_databases_and_duplicate_names_are_refused(product_url: str) -> None:
    sections = queries(product_url, {"tasks": "SELECT 1", "twice": "SELECT 1"})
    sections["analytics"]["queries"]["lost"] = {"database": "porduct", "sql": "SELECT 1"}
    sections["analytics"]["counters"] = {"twice": {"url": "http://localhost"}}

    with pytest.raises(InvalidSettings) as refused:
        validate_configured_metrics(settings_of(sections))

    assert str(refused.value).splitlines() == [
        "TASKCORE_ANALYTICS__QUERIES__TASKS: there is another metric of this name",
        "TASKCORE_ANALYTICS__QUERIES__TWICE: there is another metric of this name",
        "TASKCORE_ANALYTICS__COUNTERS__TWICE: there is another metric of this name",
        "TASKCORE_ANALYTICS__QUERIES__LOST__DATABASE: no database is configured as 'porduct'; configured: product",
    ]


def test_an_unavailable_database_does_not_block_the_start() -> None:
    validate_configured_metrics(settings_of(queries(NO_DATABASE, {"any": "SELECT 1"})))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TASKCORE_ANALYTICS__COUNTERS__USERS__POINTER", '{"url": "http://localhost", "pointer": "data/users"}'),
        ("TASKCORE_ANALYTICS__COUNTERS__USERS__POINTER", '{"url": "http://localhost", "pointer": "/data~2"}'),
        ("TASKCORE_ANALYTICS__COUNTERS__USERS__URL", '{"url": "localhost"}'),
        ("TASKCORE_ANALYTICS__COUNTERS__USERS__POINTR", '{"url": "http://localhost", "pointr": ""}'),
    ],
)
def test_an_invalid_counter_is_refused_with_its_setting(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv("TASKCORE_ANALYTICS__COUNTERS", f'{{"users": {value}}}')

    with pytest.raises(InvalidSettings, match=f"^{variable}: "):
        load_settings()
