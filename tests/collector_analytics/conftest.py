"""Fixtures for the tests of the analytics collector."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskcore.db.engine import sync_engine
from tests.collector_analytics.analytics_harness import AnalyticsHarness


@pytest.fixture
def house(database_url: str) -> Iterator[AnalyticsHarness]:
    """Taskcore's database with what has happened in it, and a collector."""
    engine = sync_engine(database_url, name="tests", pool_size=10)
    yield AnalyticsHarness(engine, database_url)
    engine.dispose()
