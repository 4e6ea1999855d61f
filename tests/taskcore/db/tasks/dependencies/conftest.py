"""Fixtures for tests of statements on tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from taskworker.coordinator.dependency_resolver import DependencyResolver
from tests.taskcore.db.tasks.dependencies.dependency_helpers import coordinating


@pytest.fixture
async def resolver(database_url: str) -> AsyncIterator[DependencyResolver]:
    async with coordinating(database_url) as one:
        yield one
