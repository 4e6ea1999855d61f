"""Users, workers and coordinators that change a task and its dependents concurrently."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from taskcore.db.tasks import actions
from taskworker.coordinator.dependency_resolver import DependencyResolver
from tests.taskcore.db.db_harness import DatabaseHarness, new_task
from tests.taskcore.db.tasks.dependencies.dependency_helpers import FAILED, coordinating, resolve_all, statuses


@pytest.mark.parametrize("ends", [None, FAILED])
async def test_children_submitted_while_their_parent_finishes_do_not_wait_forever(
    db: DatabaseHarness, resolver: DependencyResolver, ends: Any
) -> None:
    family = []
    for _ in range(200):
        (parent,) = db.submit(new_task(max_attempts=1))
        token = uuid4()
        db.claim([parent], token=token)
        with ThreadPoolExecutor(2) as pool:
            ended = pool.submit(db.settle, parent, 1, token, ends)
            family.append(pool.submit(db.submit_with_parents, parent).result())
            assert ended.result() == [parent]
        await resolver.step()

    await resolve_all(resolver)

    assert set(statuses(db, *family)) == {"cancelled" if ends else "queued"}


@pytest.mark.parametrize("ends", [(None, None), (None, FAILED), (FAILED, FAILED)])
async def test_two_coordinators_resolve_parents_that_finish_at_once(
    db: DatabaseHarness, database_url: str, ends: tuple[Any, Any]
) -> None:
    async with racing(database_url, 2) as finish:
        children = []
        for _ in range(100):
            parents = db.submit(new_task(max_attempts=1), new_task(max_attempts=1))
            children.append(await asyncio.to_thread(db.submit_with_parents, *parents))
            token = uuid4()
            await asyncio.to_thread(db.claim, parents, token=token)
            await together(
                *(partial(db.settle, one, 1, token, verdict) for one, verdict in zip(parents, ends, strict=True))
            )
        await finish()

    assert set(statuses(db, *children)) == {"queued" if ends == (None, None) else "cancelled"}
    assert max(len(db.history(child)) for child in children) == 2


async def test_nothing_waits_forever_whatever_users_do_while_parents_finish(
    db: DatabaseHarness, database_url: str
) -> None:
    async with racing(database_url, 2) as finish:
        families = []
        for _ in range(150):
            first, second = db.submit(new_task(max_attempts=1), new_task(max_attempts=1))
            child = await asyncio.to_thread(db.submit_with_parents, first, second)
            families.append((first, second, child, await asyncio.to_thread(db.submit_with_parents, child)))
            steps: list[Callable[[], Any]] = [
                partial(db.run_to_end, first, FAILED),
                partial(db.run_to_end, second, random.choice([None, FAILED])),
                partial(db.apply_action, actions.retry(), first),
                partial(db.run, actions.pause(), task=child, by="me", why=None),
                partial(db.apply_action, actions.resume(), child),
                partial(db.apply_action, actions.retry(), child),
                partial(db.apply_action, actions.retry(), second),
            ]
            random.shuffle(steps)
            await together(*steps)
        await finish()
        for first, second, child, _ in families:
            await together(
                partial(db.apply_action, actions.resume(), child),
                partial(db.apply_action, actions.retry(), first),
                partial(db.apply_action, actions.retry(), second),
            )
        await finish()
        for first, second, *_ in families:
            await together(partial(db.run_to_end, first), partial(db.run_to_end, second))
        await finish()

    for first, second, child, grandchild in families:
        assert statuses(db, first, second, child, grandchild) == ["succeeded", "succeeded", "queued", "blocked"]
    assert not db.sql("SELECT id FROM task WHERE status = 'succeeded' AND dependents_state <> 'resolved'")


async def together(*steps: Callable[[], Any]) -> None:
    """Run all steps concurrently, each in its own thread: one that waits for a lock must not block a coordinator."""

    def attempt(step: Callable[[], Any]) -> None:
        try:
            step()
        except (AssertionError, ValueError):  # the task was not there to be claimed
            return

    await asyncio.gather(*(asyncio.to_thread(attempt, step) for step in steps))


@asynccontextmanager
async def racing(url: str, coordinators: int) -> AsyncIterator[Callable[[], Any]]:
    """Run that many coordinators. Yields a function that waits until nothing is left to resolve."""
    stopping = asyncio.Event()

    async def work(resolver: DependencyResolver) -> None:
        while not stopping.is_set():
            await resolver.step()

    async with coordinating(url) as first, coordinating(url) as second, coordinating(url) as last:
        workers = [asyncio.create_task(work(one)) for one in (first, second)[:coordinators]]

        async def finish() -> None:
            while await last.step():
                continue

        try:
            yield finish
        finally:
            stopping.set()
            await asyncio.gather(*workers)
