"""Fixtures for the tests of the analytics collector."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.postgres import PostgresDatabases
from taskcore.db.engine import sync_engine
from tests.collector_analytics import product_database
from tests.collector_analytics.analytics_harness import AnalyticsHarness


@pytest.fixture
def analytics(database_url: str) -> Iterator[AnalyticsHarness]:
    """Taskcore's database, and a collector."""
    engine = sync_engine(database_url, name="tests", pool_size=10)
    yield AnalyticsHarness(engine, database_url)
    engine.dispose()


@pytest.fixture
def product_url(postgres_server: PostgresDatabases) -> Iterator[str]:
    with postgres_server.fresh_database() as url:
        product_database.build(url)
        yield url
