"""Dependencies: which task waits for which, and what the end of a task means for its dependents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from taskcore.db.tasks import actions
from taskworker.coordinator.dependency_resolver import DependencyResolver
from tests.taskcore.db.db_harness import DatabaseHarness, new_task
from tests.taskcore.db.tasks.dependencies.dependency_helpers import FAILED, resolve_all, statuses


async def test_a_task_runs_once_all_its_parents_have_succeeded(
    db: DatabaseHarness, resolver: DependencyResolver
) -> None:
    first, second = db.submit(new_task(), new_task())
    child = db.submit_with_parents(first, second, priority=7)
    assert (db.status(child), db.claim([child]), db.dispatch(9)) == ("blocked", [], [first, second])

    db.run_to_end(first)
    await resolve_all(resolver)
    assert db.status(child) == "blocked"
    db.run_to_end(second)
    await resolve_all(resolver)

    assert db.status(child) == "queued"
    assert db.history(child) == ["blocked", "queued"]
    assert db.dispatch(9) == [child]
    assert [row.dependents_state for row in db.sql("SELECT dependents_state FROM task ORDER BY id")] == [
        "resolved"
    ] * 2 + [None]


async def test_an_unblocked_task_still_waits_for_its_time(db: DatabaseHarness, resolver: DependencyResolver) -> None:
    (parent,) = db.submit(new_task())
    child = db.submit_with_parents(parent, run_at=datetime.now(UTC) + timedelta(hours=1))

    db.run_to_end(parent)
    await resolve_all(resolver)

    assert (db.status(child), db.dispatch(9)) == ("scheduled", [])
    assert db.sql("SELECT available_at = run_at FROM outbox JOIN task ON task.id = task_id")[0][0]


@pytest.mark.parametrize("how", ["failed", "cancelled"])
async def test_every_descendant_of_an_unsuccessful_task_is_cancelled(
    db: DatabaseHarness, resolver: DependencyResolver, how: str
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
    await resolve_all(resolver)

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
    db: DatabaseHarness, resolver: DependencyResolver
) -> None:
    good, bad, open_ = db.submit(new_task(), new_task(), new_task())
    db.run_to_end(good)
    db.run_to_end(bad, FAILED)

    free, doomed = db.submit_with_parents(good), db.submit_with_parents(good, bad, open_)
    follower = db.submit_with_parents(doomed)

    assert statuses(db, free, doomed, follower) == ["queued", "cancelled", "cancelled"]
    assert db.history(doomed) == ["cancelled"]
    (task,) = db.sql("SELECT reason, error, finished_at IS NULL FROM task WHERE id = :id", id=doomed)
    assert tuple(task) == ("dependency_failed", f"task {bad}, on which it depends, failed", False)
    assert not await resolve_all(resolver)
    assert db.dispatch(9) == [open_, free]


async def test_retrying_a_parent_blocks_again_what_its_failure_cancelled(
    db: DatabaseHarness, resolver: DependencyResolver
) -> None:
    (root, other) = db.submit(new_task(), new_task())
    child, others = db.submit_with_parents(root), db.submit_with_parents(root, other)
    grandchild = db.submit_with_parents(child)
    by_hand = db.submit_with_parents(root)
    db.run(actions.cancel(), task=by_hand, by="me", why=None)
    db.run_to_end(root, FAILED)
    db.run_to_end(other, FAILED)
    await resolve_all(resolver)
    late = db.submit_with_parents(root)
    assert statuses(db, child, others, grandchild, late) == ["cancelled"] * 4

    assert db.apply_action(actions.retry(), root)
    await resolve_all(resolver)

    assert statuses(db, child, others, grandchild, late) == ["blocked", "cancelled", "blocked", "blocked"]
    assert db.status(by_hand) == "cancelled"
    assert db.history(grandchild) == ["blocked", "cancelled", "blocked"]
    (task,) = db.sql("SELECT reason, error, finished_at, delete_at FROM task WHERE id = :id", id=grandchild)
    assert tuple(task) == (None, None, None, None)
    db.run_to_end(root)
    await resolve_all(resolver)
    assert statuses(db, child, grandchild, late) == ["queued", "blocked", "queued"]
    assert db.apply_action(actions.retry(), other)
    await resolve_all(resolver)
    assert db.status(others) == "blocked"
    db.run_to_end(other)
    await resolve_all(resolver)
    assert db.status(others) == "queued"


async def test_a_parent_retried_and_finished_between_two_steps_is_resolved(
    db: DatabaseHarness, resolver: DependencyResolver
) -> None:
    good, bad = db.submit(new_task(max_attempts=1), new_task(max_attempts=1))
    of_good, of_bad = db.submit_with_parents(good), db.submit_with_parents(bad)
    for parent in (good, bad):
        db.run_to_end(parent, FAILED)
    await resolve_all(resolver)

    for parent, verdict in ((good, None), (bad, FAILED)):
        db.apply_action(actions.retry(), parent)
        db.run_to_end(parent, verdict)
    await resolve_all(resolver)

    assert statuses(db, of_good, of_bad) == ["queued", "cancelled"]


async def test_a_child_cannot_be_retried_while_a_parent_is_unsuccessful(
    db: DatabaseHarness, resolver: DependencyResolver
) -> None:
    (root,) = db.submit(new_task())
    child = db.submit_with_parents(root)
    db.run_to_end(root, FAILED)
    await resolve_all(resolver)
    assert not db.apply_action(actions.retry(), child)

    db.apply_action(actions.retry(), root)

    assert db.apply_action(actions.retry(), child)
    assert db.status(child) == "blocked"
    db.run_to_end(root)
    await resolve_all(resolver)
    assert db.status(child) == "queued"


async def test_a_resumed_child_waits_for_its_unfinished_parents(
    db: DatabaseHarness, resolver: DependencyResolver
) -> None:
    (parent,) = db.submit(new_task())
    early, late = db.submit_with_parents(parent), db.submit_with_parents(parent)
    for child in (early, late):
        db.run(actions.pause(), task=child, by="me", why=None)

    db.apply_action(actions.resume(), early)
    assert db.status(early) == "blocked"
    db.run_to_end(parent)
    await resolve_all(resolver)
    db.apply_action(actions.resume(), late)

    assert statuses(db, early, late) == ["queued", "queued"]


async def test_a_parent_cannot_be_deleted_before_it_is_resolved(
    db: DatabaseHarness, resolver: DependencyResolver
) -> None:
    (good, bad) = db.submit(new_task(), new_task())
    of_good, of_bad = db.submit_with_parents(good), db.submit_with_parents(good, bad)
    assert not db.run(actions.delete_task(), task=good, by="me")
    db.run_to_end(good)
    db.run_to_end(bad, FAILED)
    assert not db.run(actions.delete_task(), task=good, by="me")
    await resolve_all(resolver)

    assert db.run(actions.delete_task(), task=good, by="me")

    assert statuses(db, of_good, of_bad) == ["queued", "cancelled"]
    db.apply_action(actions.retry(), bad)
    await resolve_all(resolver)
    db.run_to_end(bad)
    await resolve_all(resolver)
    assert db.status(of_bad) == "queued"


async def test_a_deleted_unsuccessful_parent_blocks_nothing_again(
    db: DatabaseHarness, resolver: DependencyResolver
) -> None:
    (gone, retried) = db.submit(new_task(), new_task())
    child = db.submit_with_parents(gone, retried)
    db.run_to_end(gone, FAILED)
    db.run_to_end(retried, FAILED)
    await resolve_all(resolver)
    assert db.run(actions.delete_task(), task=gone, by="me")

    db.apply_action(actions.retry(), retried)
    await resolve_all(resolver)

    assert db.status(child) == "cancelled"
    assert not db.apply_action(actions.retry(), child)
