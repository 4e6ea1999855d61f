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


def statuses(stage: DatabaseHarness, *task_ids: int) -> list[str]:
    return [stage.status(task_id) for task_id in task_ids]


async def test_a_task_runs_once_all_that_it_depends_on_have_succeeded(
    stage: DatabaseHarness, dependents: DependencyResolver
) -> None:
    first, second = stage.submit(new_task(), new_task())
    child = stage.submit_with_parents(first, second, priority=7)
    assert (stage.status(child), stage.claim([child]), stage.dispatch(9)) == ("blocked", [], [first, second])

    stage.run_to_end(first)
    await pass_on(dependents)
    assert stage.status(child) == "blocked"
    stage.run_to_end(second)
    await pass_on(dependents)

    assert stage.status(child) == "queued"
    assert stage.history(child) == ["blocked", "queued"]
    assert stage.dispatch(9) == [child]
    assert [row.dependents_state for row in stage.sql("SELECT dependents_state FROM task ORDER BY id")] == [
        "resolved"
    ] * 2 + [None]


async def test_an_unblocked_task_still_waits_for_its_time(
    stage: DatabaseHarness, dependents: DependencyResolver
) -> None:
    (parent,) = stage.submit(new_task())
    child = stage.submit_with_parents(parent, run_at=datetime.now(UTC) + timedelta(hours=1))

    stage.run_to_end(parent)
    await pass_on(dependents)

    assert (stage.status(child), stage.dispatch(9)) == ("scheduled", [])
    assert stage.sql("SELECT available_at = run_at FROM outbox JOIN task ON task.id = task_id")[0][0]


@pytest.mark.parametrize("how", ["failed", "cancelled"])
async def test_every_descendant_of_what_came_to_nothing_is_cancelled(
    stage: DatabaseHarness, dependents: DependencyResolver, how: str
) -> None:
    (root, bystander) = stage.submit(new_task(), new_task())
    child = stage.submit_with_parents(root, bystander, delete_after_s=5)
    paused = stage.submit_with_parents(root)
    stage.run(actions.pause(), task=paused, by="me", why=None)
    grandchild = stage.submit_with_parents(child, paused)

    if how == "failed":
        stage.run_to_end(root, FAILED)
    else:
        stage.run(actions.cancel(), task=root, by="me", why="not needed")
    await pass_on(dependents)

    assert statuses(stage, child, paused, grandchild, bystander) == ["cancelled"] * 3 + ["queued"]
    rows = stage.sql("SELECT reason, error, finished_at FROM task WHERE id IN (:a, :b)", a=child, b=grandchild)
    said = {"failed": "failed", "cancelled": "was cancelled"}[how]
    assert {(row.reason, row.error) for row in rows} == {
        ("dependency_failed", f"task {root}, on which it depends, {said}")
    }
    assert all(row.finished_at for row in rows)
    assert stage.sql("SELECT delete_at - finished_at FROM task WHERE id = :id", id=child)[0][0] == timedelta(seconds=5)
    assert stage.history(grandchild) == ["blocked", "cancelled"]


async def test_a_task_that_is_submitted_when_all_is_decided_starts_as_decided(
    stage: DatabaseHarness, dependents: DependencyResolver
) -> None:
    good, bad, open_ = stage.submit(new_task(), new_task(), new_task())
    stage.run_to_end(good)
    stage.run_to_end(bad, FAILED)

    free, in_vain = stage.submit_with_parents(good), stage.submit_with_parents(good, bad, open_)
    follower = stage.submit_with_parents(in_vain)

    assert statuses(stage, free, in_vain, follower) == ["queued", "cancelled", "cancelled"]
    assert stage.history(in_vain) == ["cancelled"]
    (task,) = stage.sql("SELECT reason, error, finished_at IS NULL FROM task WHERE id = :id", id=in_vain)
    assert tuple(task) == ("dependency_failed", f"task {bad}, on which it depends, failed", False)
    assert not await pass_on(dependents)
    assert stage.dispatch(9) == [open_, free]


async def test_a_parent_that_is_retried_arms_again_what_its_failure_cancelled(
    stage: DatabaseHarness, dependents: DependencyResolver
) -> None:
    (root, other) = stage.submit(new_task(), new_task())
    child, others = stage.submit_with_parents(root), stage.submit_with_parents(root, other)
    grandchild = stage.submit_with_parents(child)
    by_hand = stage.submit_with_parents(root)
    stage.run(actions.cancel(), task=by_hand, by="me", why=None)
    stage.run_to_end(root, FAILED)
    stage.run_to_end(other, FAILED)
    await pass_on(dependents)
    late = stage.submit_with_parents(root)
    assert statuses(stage, child, others, grandchild, late) == ["cancelled"] * 4

    assert stage.apply_action(actions.retry(), root)
    await pass_on(dependents)

    assert statuses(stage, child, others, grandchild, late) == ["blocked", "cancelled", "blocked", "blocked"]
    assert stage.status(by_hand) == "cancelled"
    assert stage.history(grandchild) == ["blocked", "cancelled", "blocked"]
    (task,) = stage.sql("SELECT reason, error, finished_at, delete_at FROM task WHERE id = :id", id=grandchild)
    assert tuple(task) == (None, None, None, None)
    stage.run_to_end(root)
    await pass_on(dependents)
    assert statuses(stage, child, grandchild, late) == ["queued", "blocked", "queued"]
    assert stage.apply_action(actions.retry(), other)
    await pass_on(dependents)
    assert stage.status(others) == "blocked"
    stage.run_to_end(other)
    await pass_on(dependents)
    assert stage.status(others) == "queued"


async def test_a_parent_that_is_retried_and_over_before_anybody_looked_is_passed_on(
    stage: DatabaseHarness, dependents: DependencyResolver
) -> None:
    good, bad = stage.submit(new_task(max_attempts=1), new_task(max_attempts=1))
    of_good, of_bad = stage.submit_with_parents(good), stage.submit_with_parents(bad)
    for parent in (good, bad):
        stage.run_to_end(parent, FAILED)
    await pass_on(dependents)

    for parent, verdict in ((good, None), (bad, FAILED)):
        stage.apply_action(actions.retry(), parent)
        stage.run_to_end(parent, verdict)
    await pass_on(dependents)

    assert statuses(stage, of_good, of_bad) == ["queued", "cancelled"]


async def test_a_child_is_retried_only_once_nothing_that_it_depends_on_came_to_nothing(
    stage: DatabaseHarness, dependents: DependencyResolver
) -> None:
    (root,) = stage.submit(new_task())
    child = stage.submit_with_parents(root)
    stage.run_to_end(root, FAILED)
    await pass_on(dependents)
    assert not stage.apply_action(actions.retry(), child)

    stage.apply_action(actions.retry(), root)

    assert stage.apply_action(actions.retry(), child)
    assert stage.status(child) == "blocked"
    stage.run_to_end(root)
    await pass_on(dependents)
    assert stage.status(child) == "queued"


async def test_a_paused_child_that_is_resumed_waits_for_what_is_not_over(
    stage: DatabaseHarness, dependents: DependencyResolver
) -> None:
    (parent,) = stage.submit(new_task())
    early, late = stage.submit_with_parents(parent), stage.submit_with_parents(parent)
    for child in (early, late):
        stage.run(actions.pause(), task=child, by="me", why=None)

    stage.apply_action(actions.resume(), early)
    assert stage.status(early) == "blocked"
    stage.run_to_end(parent)
    await pass_on(dependents)
    stage.apply_action(actions.resume(), late)

    assert statuses(stage, early, late) == ["queued", "queued"]


async def test_what_others_wait_for_is_not_deleted_before_it_was_passed_on(
    stage: DatabaseHarness, dependents: DependencyResolver
) -> None:
    (good, bad) = stage.submit(new_task(), new_task())
    of_good, of_bad = stage.submit_with_parents(good), stage.submit_with_parents(good, bad)
    assert not stage.run(actions.delete_task(), task=good, by="me")
    stage.run_to_end(good)
    stage.run_to_end(bad, FAILED)
    assert not stage.run(actions.delete_task(), task=good, by="me")
    await pass_on(dependents)

    assert stage.run(actions.delete_task(), task=good, by="me")

    assert statuses(stage, of_good, of_bad) == ["queued", "cancelled"]
    stage.apply_action(actions.retry(), bad)
    await pass_on(dependents)
    stage.run_to_end(bad)
    await pass_on(dependents)
    assert stage.status(of_bad) == "queued"


async def test_a_failed_dependency_that_is_gone_arms_nothing(
    stage: DatabaseHarness, dependents: DependencyResolver
) -> None:
    (gone, retried) = stage.submit(new_task(), new_task())
    child = stage.submit_with_parents(gone, retried)
    stage.run_to_end(gone, FAILED)
    stage.run_to_end(retried, FAILED)
    await pass_on(dependents)
    assert stage.run(actions.delete_task(), task=gone, by="me")

    stage.apply_action(actions.retry(), retried)
    await pass_on(dependents)

    assert stage.status(child) == "cancelled"
    assert not stage.apply_action(actions.retry(), child)


@pytest.mark.parametrize("ends", [None, FAILED])
async def test_children_that_are_submitted_while_their_parent_ends_do_not_wait_for_ever(
    stage: DatabaseHarness, dependents: DependencyResolver, ends: Any
) -> None:
    family = []
    for _ in range(200):
        (parent,) = stage.submit(new_task(max_attempts=1))
        token = uuid4()
        stage.claim([parent], token=token)
        with ThreadPoolExecutor(2) as pool:
            ended = pool.submit(stage.settle, parent, 1, token, ends)
            family.append(pool.submit(stage.submit_with_parents, parent).result())
            assert ended.result() == [parent]
        await dependents.step()

    await pass_on(dependents)

    assert set(statuses(stage, *family)) == {"cancelled" if ends else "queued"}


@pytest.mark.parametrize("ends", [(None, None), (None, FAILED), (FAILED, FAILED)])
async def test_parents_that_end_at_once_are_passed_on_by_two_coordinators(
    stage: DatabaseHarness, database_url: str, ends: tuple[Any, Any]
) -> None:
    async with racing(database_url, 2) as finish:
        children = []
        for _ in range(100):
            parents = stage.submit(new_task(max_attempts=1), new_task(max_attempts=1))
            children.append(await asyncio.to_thread(stage.submit_with_parents, *parents))
            token = uuid4()
            await asyncio.to_thread(stage.claim, parents, token=token)
            await together(
                *(partial(stage.settle, one, 1, token, verdict) for one, verdict in zip(parents, ends, strict=True))
            )
        await finish()

    assert set(statuses(stage, *children)) == {"queued" if ends == (None, None) else "cancelled"}
    assert max(len(stage.history(child)) for child in children) == 2


async def test_whatever_people_do_while_parents_end_nothing_waits_for_ever(
    stage: DatabaseHarness, database_url: str
) -> None:
    async with racing(database_url, 2) as finish:
        families = []
        for _ in range(150):
            first, second = stage.submit(new_task(max_attempts=1), new_task(max_attempts=1))
            child = await asyncio.to_thread(stage.submit_with_parents, first, second)
            families.append((first, second, child, await asyncio.to_thread(stage.submit_with_parents, child)))
            steps: list[Callable[[], Any]] = [
                partial(stage.run_to_end, first, FAILED),
                partial(stage.run_to_end, second, random.choice([None, FAILED])),
                partial(stage.apply_action, actions.retry(), first),
                partial(stage.run, actions.pause(), task=child, by="me", why=None),
                partial(stage.apply_action, actions.resume(), child),
                partial(stage.apply_action, actions.retry(), child),
                partial(stage.apply_action, actions.retry(), second),
            ]
            random.shuffle(steps)
            await together(*steps)
        await finish()
        for first, second, child, _ in families:
            await together(
                partial(stage.apply_action, actions.resume(), child),
                partial(stage.apply_action, actions.retry(), first),
                partial(stage.apply_action, actions.retry(), second),
            )
        await finish()
        for first, second, *_ in families:
            await together(partial(stage.run_to_end, first), partial(stage.run_to_end, second))
        await finish()

    for first, second, child, grandchild in families:
        assert statuses(stage, first, second, child, grandchild) == ["succeeded", "succeeded", "queued", "blocked"]
    assert not stage.sql("SELECT id FROM task WHERE status = 'succeeded' AND dependents_state <> 'resolved'")


@pytest.mark.parametrize("shape", ["chain", "fan"])
async def test_ten_thousand_descendants_are_cancelled_in_batches(
    stage: DatabaseHarness, dependents: DependencyResolver, shape: str
) -> None:
    (root,) = stage.submit(new_task())
    with stage.engine.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
        blocked = [(new_task(), DependencyState(Status.BLOCKED))] * 10_000
        ids = [row.id for row in connection.execute(*submit_planned(blocked))]
        parents = [root, *ids[:-1]] if shape == "chain" else [root] * len(ids)
        connection.execute(*add_dependencies(zip(ids, parents, strict=True)))
    stage.run(actions.cancel(), task=root, by="me", why=None)

    batches = await pass_on(dependents)

    assert stage.sql("SELECT status, count(*) FROM task GROUP BY status") == [("cancelled", 10_001)]
    assert 10 <= batches < 200
    largest = "SELECT max(n) FROM (SELECT count(*) AS n FROM task_history GROUP BY at) AS batches WHERE n < 10000"
    assert stage.sql(largest)[0][0] <= dependency_resolution.CHILDREN_LIMIT


async def test_ten_thousand_tasks_that_wait_for_one_run_once_it_has_succeeded(
    stage: DatabaseHarness, dependents: DependencyResolver
) -> None:
    (root,) = stage.submit(new_task())
    with stage.engine.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
        blocked = [(new_task(), DependencyState(Status.BLOCKED))] * 10_000
        ids = [row.id for row in connection.execute(*submit_planned(blocked))]
        connection.execute(*add_dependencies((child, root) for child in ids))
    stage.run_to_end(root)

    await pass_on(dependents)

    assert stage.sql("SELECT status, count(*) FROM task GROUP BY status ORDER BY 2") == [
        ("succeeded", 1),
        ("queued", 10_000),
    ]
    assert stage.sql("SELECT count(*) FROM outbox")[0][0] == 10_000


async def test_a_blocked_task_that_everybody_forgot_is_found_by_the_sweep(
    stage: DatabaseHarness, dependents: DependencyResolver
) -> None:
    good, bad, open_ = stage.submit(new_task(), new_task(), new_task())
    of_good, of_bad, waits = (
        stage.submit_with_parents(good),
        stage.submit_with_parents(good, bad),
        stage.submit_with_parents(good, open_),
    )
    stage.run_to_end(good)
    stage.run_to_end(bad, FAILED)
    stage.sql("UPDATE task SET dependents_state = 'resolved' WHERE id IN (:good, :bad)", good=good, bad=bad)
    assert not await pass_on(dependents)

    assert len(stage.run(dependency_resolution.requeue_stuck(), after_id=0, until_id=1000)) == 2

    await pass_on(dependents)
    assert statuses(stage, of_good, of_bad, waits) == ["queued", "cancelled", "blocked"]
    assert not stage.run(dependency_resolution.requeue_stuck(), after_id=0, until_id=1000)


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
