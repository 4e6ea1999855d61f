"""What docs/analytics.md shows is what the other tests run."""

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
    """The first block of the page that is written in it."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def in_one_line(sql: str) -> str:
    return " ".join(sql.split())


def test_the_example_s_queries_are_those_that_are_tried_on_a_product_s_database() -> None:
    settings = Settings(**yaml.safe_load(block("yaml")))

    queries = {name: in_one_line(query.sql) for name, query in settings.analytics.queries.items()}
    assert queries == {name: in_one_line(sql) for name, sql in product_database.QUERIES.items()}
    assert {query.database for query in settings.analytics.queries.values()} == set(settings.databases)
    assert settings.analytics.counters["channelUsersByName"].pointer == "/data/users~1now"


def test_the_example_s_tables_have_the_columns_of_the_product_s() -> None:
    assert columns(block("sql")) == columns(product_database.TABLES)


def test_every_metric_of_our_own_is_on_the_page_with_its_kind() -> None:
    own: Any = {metric.name: str(metric.kind) for source in load_sources() for metric in source.describe()}

    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("| `")]
    told = {name: row[2].strip() for row in rows for name in re.findall(r"`(\w+)`", row[1])}

    assert told == own


def columns(sql: str) -> dict[str, list[str]]:
    """By table: the first words of what is between its brackets."""
    tables = re.findall(r"CREATE TABLE (\w+) \((.*)\);", sql)
    return {name: [" ".join(column.split()[:2]) for column in inside.split(",")] for name, inside in tables}
