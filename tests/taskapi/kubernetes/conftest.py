"""Fixtures for the tests of events."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from taskcore.db.engine import sync_engine


@pytest.fixture
def collected(database_url: str) -> Iterator[Connection]:
    engine = sync_engine(database_url, name="tests", pool_size=2)
    with engine.connect() as connection:
        yield connection
    engine.dispose()
