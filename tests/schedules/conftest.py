from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskcore.db.session import BY_KEY, sync_engine
from tests.core.stage import Stage


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    engine = sync_engine(database_url, name="tests", pool_size=5, options=BY_KEY)
    yield Stage(engine)
    engine.dispose()
