"""An executor with a scripted plugin."""

from __future__ import annotations

import pytest

from tests.taskcore.db.db_harness import DatabaseHarness
from tests.taskcore.execution.executor_harness import ExecutorHarness


@pytest.fixture
def harness(db: DatabaseHarness) -> ExecutorHarness:
    return ExecutorHarness(db)
