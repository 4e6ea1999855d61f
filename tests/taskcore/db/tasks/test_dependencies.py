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

from taskcore.db.engine import BY_KEY, async_engine
from taskcore.db.tasks import actions, dependency_resolution
from taskcore.db.tasks.submit_dependent import depend, submit_planned
from taskcore.domain import outcomes
from taskcore.domain.dependencies import Standing
from taskcore.domain.states import Status
from taskworker.coordinator.dependency_resolver import Dependents
from tests.taskcore.db.db_harness import Stage, new_task

FAILED = outcomes.failed("broken", "attempts_exhausted")


@pytest.fixture
async def dependents(database_url: str) -> AsyncIterator[Dependents]:
    async with coordinating(database_url) as one:
        yield one


@asynccontextmanager
async def coordinating(url: str) -> AsyncIterator[Dependents]:
    engine = async_engine(url, name="tests", pool_size=2, options=BY_KEY)
    yield Dependents(engine)
    await engine.dispose()


async def pass_on(dependents: Dependents) -> int:
    """All there is. Answers in how many batches."""
    batches = 0
    while await dependents.step():
        batches += 1
    return batches


def statuses(stage: Stage, *task_ids: int) -> list[str]:
    return [stage.status(task_id) for task_id in task_ids]


async def test_a_task_runs_once_all_that_it_depends_on_have_succeeded(stage: Stage, dependents: Dependents) -> None:
    first, second = stage.submit(new_task(), new_task())
    child = stage.submit_on(first, second, priority=7)
    assert (stage.status(child), stage.claim([child]), stage.dispatch(9)) == ("blocked", [], [first, second])

    stage.end(first)
    await pass_on(dependents)
    assert stage.status(child) == "blocked"
    stage.end(second)
    await pass_on(dependents)

    assert stage.status(child) == "queued"
    assert stage.history(child) == ["blocked", "queued"]
    assert stage.dispatch(9) == [child]
    assert [row.dependents for row in stage.sql("SELECT dependents FROM task ORDER BY id")] == ["settled"] * 2 + [None]


async def test_an_unblocked_task_still_waits_for_its_time(stage: Stage, dependents: Dependents) -> None:
    (parent,) = stage.submit(new_task())
    child = stage.submit_on(parent, run_at=datetime.now(UTC) + timedelta(hours=1))

    stage.end(parent)
    await pass_on(dependents)

    assert (stage.status(child), stage.dispatch(9)) == ("scheduled", [])
    assert stage.sql("SELECT available_at = run_at FROM outbox JOIN task ON task.id = task_id")[0][0]


@pytest.mark.parametrize("how", ["failed", "cancelled"])
async def test_every_descendant_of_what_came_to_nothing_is_cancelled(
    stage: Stage, dependents: Dependents, how: str
) -> None:
    (root, bystander) = stage.submit(new_task(), new_task())
    child = stage.submit_on(root, bystander, delete_after_s=5)
    paused = stage.submit_on(root)
    stage.run(actions.pause(), task=paused, by="me", why=None)
    grandchild = stage.submit_on(child, paused)

    if how == "failed":
        stage.end(root, FAILED)
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
    stage: Stage, dependents: Dependents
) -> None:
    good, bad, open_ = stage.submit(new_task(), new_task(), new_task())
    stage.end(good)
    stage.end(bad, FAILED)

    free, in_vain = stage.submit_on(good), stage.submit_on(good, bad, open_)
    follower = stage.submit_on(in_vain)

    assert statuses(stage, free, in_vain, follower) == ["queued", "cancelled", "cancelled"]
    assert stage.history(in_vain) == ["cancelled"]
    (task,) = stage.sql("SELECT reason, error, finished_at IS NULL FROM task WHERE id = :id", id=in_vain)
    assert tuple(task) == ("dependency_failed", f"task {bad}, on which it depends, failed", False)
    assert not await pass_on(dependents)
    assert stage.dispatch(9) == [open_, free]


async def test_a_parent_that_is_retried_arms_again_what_its_failure_cancelled(
    stage: Stage, dependents: Dependents
) -> None:
    (root, other) = stage.submit(new_task(), new_task())
    child, others = stage.submit_on(root), stage.submit_on(root, other)
    grandchild = stage.submit_on(child)
    by_hand = stage.submit_on(root)
    stage.run(actions.cancel(), task=by_hand, by="me", why=None)
    stage.end(root, FAILED)
    stage.end(other, FAILED)
    await pass_on(dependents)
    late = stage.submit_on(root)
    assert statuses(stage, child, others, grandchild, late) == ["cancelled"] * 4

    assert stage.change(actions.retry(), root)
    await pass_on(dependents)

    assert statuses(stage, child, others, grandchild, late) == ["blocked", "cancelled", "blocked", "blocked"]
    assert stage.status(by_hand) == "cancelled"
    assert stage.history(grandchild) == ["blocked", "cancelled", "blocked"]
    (task,) = stage.sql("SELECT reason, error, finished_at, delete_at FROM task WHERE id = :id", id=grandchild)
    assert tuple(task) == (None, None, None, None)
    stage.end(root)
    await pass_on(dependents)
    assert statuses(stage, child, grandchild, late) == ["queued", "blocked", "queued"]
    assert stage.change(actions.retry(), other)
    await pass_on(dependents)
    assert stage.status(others) == "blocked"
    stage.end(other)
    await pass_on(dependents)
    assert stage.status(others) == "queued"


async def test_a_parent_that_is_retried_and_over_before_anybody_looked_is_passed_on(
    stage: Stage, dependents: Dependents
) -> None:
    good, bad = stage.submit(new_task(max_attempts=1), new_task(max_attempts=1))
    of_good, of_bad = stage.submit_on(good), stage.submit_on(bad)
    for parent in (good, bad):
        stage.end(parent, FAILED)
    await pass_on(dependents)

    for parent, verdict in ((good, None), (bad, FAILED)):
        stage.change(actions.retry(), parent)
        stage.end(parent, verdict)
    await pass_on(dependents)

    assert statuses(stage, of_good, of_bad) == ["queued", "cancelled"]


async def test_a_child_is_retried_only_once_nothing_that_it_depends_on_came_to_nothing(
    stage: Stage, dependents: Dependents
) -> None:
    (root,) = stage.submit(new_task())
    child = stage.submit_on(root)
    stage.end(root, FAILED)
    await pass_on(dependents)
    assert not stage.change(actions.retry(), child)

    stage.change(actions.retry(), root)

    assert stage.change(actions.retry(), child)
    assert stage.status(child) == "blocked"
    stage.end(root)
    await pass_on(dependents)
    assert stage.status(child) == "queued"


async def test_a_paused_child_that_is_resumed_waits_for_what_is_not_over(stage: Stage, dependents: Dependents) -> None:
    (parent,) = stage.submit(new_task())
    early, late = stage.submit_on(parent), stage.submit_on(parent)
    for child in (early, late):
        stage.run(actions.pause(), task=child, by="me", why=None)

    stage.change(actions.resume(), early)
    assert stage.status(early) == "blocked"
    stage.end(parent)
    await pass_on(dependents)
    stage.change(actions.resume(), late)

    assert statuses(stage, early, late) == ["queued", "queued"]


async def test_what_others_wait_for_is_not_deleted_before_it_was_passed_on(
    stage: Stage, dependents: Dependents
) -> None:
    (good, bad) = stage.submit(new_task(), new_task())
    of_good, of_bad = stage.submit_on(good), stage.submit_on(good, bad)
    assert not stage.run(actions.remove(), task=good, by="me")
    stage.end(good)
    stage.end(bad, FAILED)
    assert not stage.run(actions.remove(), task=good, by="me")
    await pass_on(dependents)

    assert stage.run(actions.remove(), task=good, by="me")

    assert statuses(stage, of_good, of_bad) == ["queued", "cancelled"]
    stage.change(actions.retry(), bad)
    await pass_on(dependents)
    stage.end(bad)
    await pass_on(dependents)
    assert stage.status(of_bad) == "queued"


async def test_a_failed_dependency_that_is_gone_arms_nothing(stage: Stage, dependents: Dependents) -> None:
    (gone, retried) = stage.submit(new_task(), new_task())
    child = stage.submit_on(gone, retried)
    stage.end(gone, FAILED)
    stage.end(retried, FAILED)
    await pass_on(dependents)
    assert stage.run(actions.remove(), task=gone, by="me")

    stage.change(actions.retry(), retried)
    await pass_on(dependents)

    assert stage.status(child) == "cancelled"
    assert not stage.change(actions.retry(), child)


@pytest.mark.parametrize("ends", [None, FAILED])
async def test_children_that_are_submitted_while_their_parent_ends_do_not_wait_for_ever(
    stage: Stage, dependents: Dependents, ends: Any
) -> None:
    family = []
    for _ in range(200):
        (parent,) = stage.submit(new_task(max_attempts=1))
        token = uuid4()
        stage.claim([parent], token=token)
        with ThreadPoolExecutor(2) as pool:
            ended = pool.submit(stage.settle, parent, 1, token, ends)
            family.append(pool.submit(stage.submit_on, parent).result())
            assert ended.result() == [parent]
        await dependents.step()

    await pass_on(dependents)

    assert set(statuses(stage, *family)) == {"cancelled" if ends else "queued"}


@pytest.mark.parametrize("ends", [(None, None), (None, FAILED), (FAILED, FAILED)])
async def test_parents_that_end_at_once_are_passed_on_by_two_coordinators(
    stage: Stage, database_url: str, ends: tuple[Any, Any]
) -> None:
    async with racing(database_url, 2) as finish:
        children = []
        for _ in range(100):
            parents = stage.submit(new_task(max_attempts=1), new_task(max_attempts=1))
            children.append(await asyncio.to_thread(stage.submit_on, *parents))
            token = uuid4()
            await asyncio.to_thread(stage.claim, parents, token=token)
            await together(
                *(partial(stage.settle, one, 1, token, verdict) for one, verdict in zip(parents, ends, strict=True))
            )
        await finish()

    assert set(statuses(stage, *children)) == {"queued" if ends == (None, None) else "cancelled"}
    assert max(len(stage.history(child)) for child in children) == 2


async def test_whatever_people_do_while_parents_end_nothing_waits_for_ever(stage: Stage, database_url: str) -> None:
    async with racing(database_url, 2) as finish:
        families = []
        for _ in range(150):
            first, second = stage.submit(new_task(max_attempts=1), new_task(max_attempts=1))
            child = await asyncio.to_thread(stage.submit_on, first, second)
            families.append((first, second, child, await asyncio.to_thread(stage.submit_on, child)))
            steps: list[Callable[[], Any]] = [
                lambda f=first: stage.end(f, FAILED),
                lambda s=second: stage.end(s, random.choice([None, FAILED])),
                lambda f=first: stage.change(actions.retry(), f),
                lambda c=child: stage.run(actions.pause(), task=c, by="me", why=None),
                lambda c=child: stage.change(actions.resume(), c),
                lambda c=child: stage.change(actions.retry(), c),
                lambda s=second: stage.change(actions.retry(), s),
            ]
            random.shuffle(steps)
            await together(*steps)
        await finish()
        for first, second, child, _ in families:
            await together(
                partial(stage.change, actions.resume(), child),
                partial(stage.change, actions.retry(), first),
                partial(stage.change, actions.retry(), second),
            )
        await finish()
        for first, second, *_ in families:
            await together(partial(stage.end, first), partial(stage.end, second))
        await finish()

    for first, second, child, grandchild in families:
        assert statuses(stage, first, second, child, grandchild) == ["succeeded", "succeeded", "queued", "blocked"]
    assert not stage.sql("SELECT id FROM task WHERE status = 'succeeded' AND dependents <> 'settled'")


@pytest.mark.parametrize("shape", ["chain", "fan"])
async def test_ten_thousand_descendants_are_cancelled_in_batches(
    stage: Stage, dependents: Dependents, shape: str
) -> None:
    (root,) = stage.submit(new_task())
    with stage.engine.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
        blocked = [(new_task(), Standing(Status.BLOCKED))] * 10_000
        ids = [row.id for row in connection.execute(*submit_planned(blocked))]
        parents = [root, *ids[:-1]] if shape == "chain" else [root] * len(ids)
        connection.execute(*depend(zip(ids, parents, strict=True)))
    stage.run(actions.cancel(), task=root, by="me", why=None)

    batches = await pass_on(dependents)

    assert stage.sql("SELECT status, count(*) FROM task GROUP BY status") == [("cancelled", 10_001)]
    assert 10 <= batches < 200
    largest = "SELECT max(n) FROM (SELECT count(*) AS n FROM task_history GROUP BY at) AS batches WHERE n < 10000"
    assert stage.sql(largest)[0][0] <= dependency_resolution.CHILDREN_LIMIT


async def test_ten_thousand_tasks_that_wait_for_one_run_once_it_has_succeeded(
    stage: Stage, dependents: Dependents
) -> None:
    (root,) = stage.submit(new_task())
    with stage.engine.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
        blocked = [(new_task(), Standing(Status.BLOCKED))] * 10_000
        ids = [row.id for row in connection.execute(*submit_planned(blocked))]
        connection.execute(*depend((child, root) for child in ids))
    stage.end(root)

    await pass_on(dependents)

    assert stage.sql("SELECT status, count(*) FROM task GROUP BY status ORDER BY 2") == [
        ("succeeded", 1),
        ("queued", 10_000),
    ]
    assert stage.sql("SELECT count(*) FROM outbox")[0][0] == 10_000


async def test_a_blocked_task_that_everybody_forgot_is_found_by_the_sweep(stage: Stage, dependents: Dependents) -> None:
    good, bad, open_ = stage.submit(new_task(), new_task(), new_task())
    of_good, of_bad, waits = stage.submit_on(good), stage.submit_on(good, bad), stage.submit_on(good, open_)
    stage.end(good)
    stage.end(bad, FAILED)
    stage.sql("UPDATE task SET dependents = 'settled' WHERE id IN (:good, :bad)", good=good, bad=bad)
    assert not await pass_on(dependents)

    assert len(stage.run(dependency_resolution.remind(), after_id=0, until_id=1000)) == 2

    await pass_on(dependents)
    assert statuses(stage, of_good, of_bad, waits) == ["queued", "cancelled", "blocked"]
    assert not stage.run(dependency_resolution.remind(), after_id=0, until_id=1000)


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

    async def work(dependents: Dependents) -> None:
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
