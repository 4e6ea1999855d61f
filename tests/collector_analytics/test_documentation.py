"""The examples of docs/analytics.md are those that the other tests run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from taskcore.metrics import load_sources
from taskcore.settings import Settings
from tests.collector_analytics import product_database

PAGE = (Path(__file__).parents[2] / "docs" / "analytics.md").read_text()


def block(language: str) -> str:
    """Return the first block of the page in this language."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def in_one_line(sql: str) -> str:
    return " ".join(sql.split())


def test_the_queries_of_the_example_are_the_tested_ones() -> None:
    settings = Settings(**yaml.safe_load(block("yaml")))

    queries = {name: in_one_line(query.sql) for name, query in settings.analytics.queries.items()}
    assert queries == {name: in_one_line(sql) for name, sql in product_database.QUERIES.items()}
    assert {query.database for query in settings.analytics.queries.values()} == set(settings.databases)
    assert settings.analytics.counters["channelUsersByName"].pointer == "/data/users~1now"


def test_the_tables_of_the_example_have_the_tested_columns() -> None:
    assert columns(block("sql")) == columns(product_database.TABLES)


def test_the_page_lists_every_builtin_metric_with_its_kind() -> None:
    builtin: Any = {metric.name: str(metric.kind) for source in load_sources() for metric in source.describe()}

    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("| `")]
    listed = {name: row[2].strip() for row in rows for name in re.findall(r"`(\w+)`", row[1])}

    assert listed == builtin


def columns(sql: str) -> dict[str, list[str]]:
    """Return name and type of the columns by table."""
    tables = re.findall(r"CREATE TABLE (\w+) \((.*)\);", sql)
    return {name: [" ".join(column.split()[:2]) for column in inside.split(",")] for name, inside in tables}
