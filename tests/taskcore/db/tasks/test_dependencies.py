"""Dependencies: who waits for whom, what an end means for those that wait, and all of it at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from taskcore.db.engine import KEY_LOOKUP_OPTIONS, async_engine
from taskcore.db.tasks import actions, dependency_resolution
from taskcore.db.tasks.submit_dependent import add_dependencies, submit_planned
from taskcore.domain import outcomes
from taskcore.domain.dependencies import DependencyState
from taskcore.domain.states import Status
from taskworker.coordinator.database import Database
from taskworker.coordinator.dependency_resolver import DependencyResolver
from tests.taskcore.db.db_harness import DatabaseHarness, new_task

FAILED = outcomes.failed("broken", "attempts_exhausted")


@pytest.fixture
async def dependents(database_url: str) -> AsyncIterator[DependencyResolver]:
    async with coordinating(database_url) as one:
        yield one


@asynccontextmanager
async def coordinating(url: str) -> AsyncIterator[DependencyResolver]:
    engine = async_engine(url, name="tests", pool_size=2, options=KEY_LOOKUP_OPTIONS)
    yield DependencyResolver(Database(engine))
    await engine.dispose()


async def pass_on(dependents: DependencyResolver) -> int:
    """All there is. Answers in how many batches."""
    batches = 0
    while await dependents.step():
        batches += 1
    return batches


def statuses(db: DatabaseHarness, *task_ids: int) -> list[str]:
    return [db.status(task_id) for task_id in task_ids]


async def test_a_task_runs_once_all_its_parents_have_succeeded(
    db: DatabaseHarness, dependents: DependencyResolver
) -> None:
    first, second = db.submit(new_task(), new_task())
    child = db.submit_with_parents(first, second, priority=7)
    assert (db.status(child), db.claim([child]), db.dispatch(9)) == ("blocked", [], [first, second])

    db.run_to_end(first)
    await pass_on(dependents)
    assert db.status(child) == "blocked"
    db.run_to_end(second)
    await pass_on(dependents)

    assert db.status(child) == "queued"
    assert db.history(child) == ["blocked", "queued"]
    assert db.dispatch(9) == [child]
    assert [row.dependents_state for row in db.sql("SELECT dependents_state FROM task ORDER BY id")] == [
        "resolved"
    ] * 2 + [None]


async def test_an_unblocked_task_still_waits_for_its_time(db: DatabaseHarness, dependents: DependencyResolver) -> None:
    (parent,) = db.submit(new_task())
    child = db.submit_with_parents(parent, run_at=datetime.now(UTC) + timedelta(hours=1))

    db.run_to_end(parent)
    await pass_on(dependents)

    assert (db.status(child), db.dispatch(9)) == ("scheduled", [])
    assert db.sql("SELECT available_at = run_at FROM outbox JOIN task ON task.id = task_id")[0][0]


@pytest.mark.parametrize("how", ["failed", "cancelled"])
async def test_every_descendant_of_an_unsuccessful_task_is_cancelled(
    db: DatabaseHarness, dependents: DependencyResolver, how: str
) -> None:
    (root, bystander) = db.submit(new_task(), new_task())
    child = db.submit_with_parents(root, bystander, delete_after_s=5)
    paused = db.submit_with_parents(root)
    db.run(actions.pause(), task=paused, by="me", why=None)
    grandchild = db.submit_with_parents(child, paused)

    if how == "failed":
        db.run_to_end(root, FAILED)
    else:
        db.run(actions.cancel(), task=root, by="me", why="not needed")
    await pass_on(dependents)

    assert statuses(db, child, paused, grandchild, bystander) == ["cancelled"] * 3 + ["queued"]
    rows = db.sql("SELECT reason, error, finished_at FROM task WHERE id IN (:a, :b)", a=child, b=grandchild)
    said = {"failed": "failed", "cancelled": "was cancelled"}[how]
    assert {(row.reason, row.error) for row in rows} == {
        ("dependency_failed", f"task {root}, on which it depends, {said}")
    }
    assert all(row.finished_at for row in rows)
    assert db.sql("SELECT delete_at - finished_at FROM task WHERE id = :id", id=child)[0][0] == timedelta(seconds=5)
    assert db.history(grandchild) == ["blocked", "cancelled"]


async def test_a_task_submitted_after_its_parents_finished_starts_accordingly(
    db: DatabaseHarness, dependents: DependencyResolver
) -> None:
    good, bad, open_ = db.submit(new_task(), new_task(), new_task())
    db.run_to_end(good)
    db.run_to_end(bad, FAILED)

    free, in_vain = db.submit_with_parents(good), db.submit_with_parents(good, bad, open_)
    follower = db.submit_with_parents(in_vain)

    assert statuses(db, free, in_vain, follower) == ["queued", "cancelled", "cancelled"]
    assert db.history(in_vain) == ["cancelled"]
    (task,) = db.sql("SELECT reason, error, finished_at IS NULL FROM task WHERE id = :id", id=in_vain)
    assert tuple(task) == ("dependency_failed", f"task {bad}, on which it depends, failed", False)
    assert not await pass_on(dependents)
    assert db.dispatch(9) == [open_, free]


async def test_retrying_a_parent_blocks_again_what_its_failure_cancelled(
    db: DatabaseHarness, dependents: DependencyResolver
) -> None:
    (root, other) = db.submit(new_task(), new_task())
    child, others = db.submit_with_parents(root), db.submit_with_parents(root, other)
    grandchild = db.submit_with_parents(child)
    by_hand = db.submit_with_parents(root)
    db.run(actions.cancel(), task=by_hand, by="me", why=None)
    db.run_to_end(root, FAILED)
    db.run_to_end(other, FAILED)
    await pass_on(dependents)
    late = db.submit_with_parents(root)
    assert statuses(db, child, others, grandchild, late) == ["cancelled"] * 4

    assert db.apply_action(actions.retry(), root)
    await pass_on(dependents)

    assert statuses(db, child, others, grandchild, late) == ["blocked", "cancelled", "blocked", "blocked"]
    assert db.status(by_hand) == "cancelled"
    assert db.history(grandchild) == ["blocked", "cancelled", "blocked"]
    (task,) = db.sql("SELECT reason, error, finished_at, delete_at FROM task WHERE id = :id", id=grandchild)
    assert tuple(task) == (None, None, None, None)
    db.run_to_end(root)
    await pass_on(dependents)
    assert statuses(db, child, grandchild, late) == ["queued", "blocked", "queued"]
    assert db.apply_action(actions.retry(), other)
    await pass_on(dependents)
    assert db.status(others) == "blocked"
    db.run_to_end(other)
    await pass_on(dependents)
    assert db.status(others) == "queued"


async def test_a_parent_retried_and_finished_between_two_steps_is_resolved(
    db: DatabaseHarness, dependents: DependencyResolver
) -> None:
    good, bad = db.submit(new_task(max_attempts=1), new_task(max_attempts=1))
    of_good, of_bad = db.submit_with_parents(good), db.submit_with_parents(bad)
    for parent in (good, bad):
        db.run_to_end(parent, FAILED)
    await pass_on(dependents)

    for parent, verdict in ((good, None), (bad, FAILED)):
        db.apply_action(actions.retry(), parent)
        db.run_to_end(parent, verdict)
    await pass_on(dependents)

    assert statuses(db, of_good, of_bad) == ["queued", "cancelled"]


async def test_a_child_cannot_be_retried_while_a_parent_is_unsuccessful(
    db: DatabaseHarness, dependents: DependencyResolver
) -> None:
    (root,) = db.submit(new_task())
    child = db.submit_with_parents(root)
    db.run_to_end(root, FAILED)
    await pass_on(dependents)
    assert not db.apply_action(actions.retry(), child)

    db.apply_action(actions.retry(), root)

    assert db.apply_action(actions.retry(), child)
    assert db.status(child) == "blocked"
    db.run_to_end(root)
    await pass_on(dependents)
    assert db.status(child) == "queued"


async def test_a_resumed_child_waits_for_its_unfinished_parents(
    db: DatabaseHarness, dependents: DependencyResolver
) -> None:
    (parent,) = db.submit(new_task())
    early, late = db.submit_with_parents(parent), db.submit_with_parents(parent)
    for child in (early, late):
        db.run(actions.pause(), task=child, by="me", why=None)

    db.apply_action(actions.resume(), early)
    assert db.status(early) == "blocked"
    db.run_to_end(parent)
    await pass_on(dependents)
    db.apply_action(actions.resume(), late)

    assert statuses(db, early, late) == ["queued", "queued"]


async def test_a_parent_cannot_be_deleted_before_it_is_resolved(
    db: DatabaseHarness, dependents: DependencyResolver
) -> None:
    (good, bad) = db.submit(new_task(), new_task())
    of_good, of_bad = db.submit_with_parents(good), db.submit_with_parents(good, bad)
    assert not db.run(actions.delete_task(), task=good, by="me")
    db.run_to_end(good)
    db.run_to_end(bad, FAILED)
    assert not db.run(actions.delete_task(), task=good, by="me")
    await pass_on(dependents)

    assert db.run(actions.delete_task(), task=good, by="me")

    assert statuses(db, of_good, of_bad) == ["queued", "cancelled"]
    db.apply_action(actions.retry(), bad)
    await pass_on(dependents)
    db.run_to_end(bad)
    await pass_on(dependents)
    assert db.status(of_bad) == "queued"


async def test_a_deleted_unsuccessful_parent_blocks_nothing_again(
    db: DatabaseHarness, dependents: DependencyResolver
) -> None:
    (gone, retried) = db.submit(new_task(), new_task())
    child = db.submit_with_parents(gone, retried)
    db.run_to_end(gone, FAILED)
    db.run_to_end(retried, FAILED)
    await pass_on(dependents)
    assert db.run(actions.delete_task(), task=gone, by="me")

    db.apply_action(actions.retry(), retried)
    await pass_on(dependents)

    assert db.status(child) == "cancelled"
    assert not db.apply_action(actions.retry(), child)


@pytest.mark.parametrize("ends", [None, FAILED])
async def test_children_submitted_while_their_parent_finishes_do_not_wait_forever(
    db: DatabaseHarness, dependents: DependencyResolver, ends: Any
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
        await dependents.step()

    await pass_on(dependents)

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


@pytest.mark.parametrize("shape", ["chain", "fan"])
async def test_ten_thousand_descendants_are_cancelled_in_batches(
    db: DatabaseHarness, dependents: DependencyResolver, shape: str
) -> None:
    (root,) = db.submit(new_task())
    with db.engine.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
        blocked = [(new_task(), DependencyState(Status.BLOCKED))] * 10_000
        ids = [row.id for row in connection.execute(*submit_planned(blocked))]
        parents = [root, *ids[:-1]] if shape == "chain" else [root] * len(ids)
        connection.execute(*add_dependencies(zip(ids, parents, strict=True)))
    db.run(actions.cancel(), task=root, by="me", why=None)

    batches = await pass_on(dependents)

    assert db.sql("SELECT status, count(*) FROM task GROUP BY status") == [("cancelled", 10_001)]
    assert 10 <= batches < 200
    largest = "SELECT max(n) FROM (SELECT count(*) AS n FROM task_history GROUP BY at) AS batches WHERE n < 10000"
    assert db.sql(largest)[0][0] <= dependency_resolution.CHILDREN_LIMIT


async def test_ten_thousand_children_run_once_their_parent_has_succeeded(
    db: DatabaseHarness, dependents: DependencyResolver
) -> None:
    (root,) = db.submit(new_task())
    with db.engine.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
        blocked = [(new_task(), DependencyState(Status.BLOCKED))] * 10_000
        ids = [row.id for row in connection.execute(*submit_planned(blocked))]
        connection.execute(*add_dependencies((child, root) for child in ids))
    db.run_to_end(root)

    await pass_on(dependents)

    assert db.sql("SELECT status, count(*) FROM task GROUP BY status ORDER BY 2") == [
        ("succeeded", 1),
        ("queued", 10_000),
    ]
    assert db.sql("SELECT count(*) FROM outbox")[0][0] == 10_000


async def test_the_sweep_finds_a_stuck_blocked_task(db: DatabaseHarness, dependents: DependencyResolver) -> None:
    good, bad, open_ = db.submit(new_task(), new_task(), new_task())
    of_good, of_bad, waits = (
        db.submit_with_parents(good),
        db.submit_with_parents(good, bad),
        db.submit_with_parents(good, open_),
    )
    db.run_to_end(good)
    db.run_to_end(bad, FAILED)
    db.sql("UPDATE task SET dependents_state = 'resolved' WHERE id IN (:good, :bad)", good=good, bad=bad)
    assert not await pass_on(dependents)

    assert len(db.run(dependency_resolution.requeue_stuck(), after_id=0, until_id=1000)) == 2

    await pass_on(dependents)
    assert statuses(db, of_good, of_bad, waits) == ["queued", "cancelled", "blocked"]
    assert not db.run(dependency_resolution.requeue_stuck(), after_id=0, until_id=1000)


async def together(*steps: Callable[[], Any]) -> None:
    """All at once, each in a thread of its own: one that waits for a lock holds up no coordinator.

    What cannot be done as things stand is not.
    """

    def attempt(step: Callable[[], Any]) -> None:
        try:
            step()
        except (AssertionError, ValueError):  # the task was not there to be claimed
            return

    await asyncio.gather(*(asyncio.to_thread(attempt, step) for step in steps))


@asynccontextmanager
async def racing(url: str, coordinators: int) -> AsyncIterator[Callable[[], Any]]:
    """So many coordinators at work; what is yielded waits until nothing is left to be passed on."""
    over = asyncio.Event()

    async def work(dependents: DependencyResolver) -> None:
        while not over.is_set():
            await dependents.step()

    async with coordinating(url) as first, coordinating(url) as second, coordinating(url) as last:
        workers = [asyncio.create_task(work(one)) for one in (first, second)[:coordinators]]

        async def finish() -> None:
            while await last.step():
                continue

        try:
            yield finish
        finally:
            over.set()
            await asyncio.gather(*workers)
