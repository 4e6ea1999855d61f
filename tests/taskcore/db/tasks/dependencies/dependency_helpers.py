"""Coordinators for tests of dependencies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from taskcore.db.engine import KEY_LOOKUP_OPTIONS, async_engine
from taskcore.domain import outcomes
from taskworker.coordinator.database import Database
from taskworker.coordinator.dependency_resolver import DependencyResolver
from tests.taskcore.db.db_harness import DatabaseHarness

FAILED = outcomes.failed("broken", "attempts_exhausted")


@asynccontextmanager
async def coordinating(url: str) -> AsyncIterator[DependencyResolver]:
    engine = async_engine(url, name="tests", pool_size=2, options=KEY_LOOKUP_OPTIONS)
    yield DependencyResolver(Database(engine))
    await engine.dispose()


async def resolve_all(resolver: DependencyResolver) -> int:
    """Resolve all that is pending. Return the number of batches."""
    batches = 0
    while await resolver.step():
        batches += 1
    return batches


def statuses(db: DatabaseHarness, *task_ids: int) -> list[str]:
    return [db.status(task_id) for task_id in task_ids]
