"""The resolution of dependencies: its batches, and the sweep for what it missed."""

from __future__ import annotations

from typing import Any

import pytest

from taskcore.db.engine import KEY_LOOKUP_OPTIONS, async_engine
from taskcore.db.tasks import actions, dependency_resolution
from taskcore.db.tasks.submit_dependent import add_dependencies, submit_planned
from taskcore.domain.dependencies import DependencyState
from taskcore.domain.states import Status
from taskworker.coordinator.database import Database
from taskworker.coordinator.dependency_resolver import DependencyResolver
from tests.taskcore.db.db_harness import DatabaseHarness, new_task
from tests.taskcore.db.tasks.dependencies.dependency_helpers import FAILED, resolve_all, statuses


@pytest.mark.parametrize("shape", ["chain", "fan"])
async def test_ten_thousand_descendants_are_cancelled_in_batches(
    db: DatabaseHarness, resolver: DependencyResolver, shape: str
) -> None:
    (root,) = db.submit(new_task())
    with db.engine.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
        blocked = [(new_task(), DependencyState(Status.BLOCKED))] * 10_000
        ids = [row.id for row in connection.execute(*submit_planned(blocked))]
        parents = [root, *ids[:-1]] if shape == "chain" else [root] * len(ids)
        connection.execute(*add_dependencies(zip(ids, parents, strict=True)))
    db.run(actions.cancel(), task=root, by="me", why=None)

    batches = await resolve_all(resolver)

    assert db.sql("SELECT status, count(*) FROM task GROUP BY status") == [("cancelled", 10_001)]
    assert batches < 200
    largest = "SELECT max(n) FROM (SELECT count(*) AS n FROM task_history GROUP BY at) AS batches WHERE n < 10000"
    assert db.sql(largest)[0][0] <= dependency_resolution.CHILDREN_LIMIT


async def test_ten_thousand_children_run_once_their_parent_has_succeeded(
    db: DatabaseHarness, resolver: DependencyResolver
) -> None:
    (root,) = db.submit(new_task())
    with db.engine.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
        blocked = [(new_task(), DependencyState(Status.BLOCKED))] * 10_000
        ids = [row.id for row in connection.execute(*submit_planned(blocked))]
        connection.execute(*add_dependencies((child, root) for child in ids))
    db.run_to_end(root)

    await resolve_all(resolver)

    assert db.sql("SELECT status, count(*) FROM task GROUP BY status ORDER BY 2") == [
        ("succeeded", 1),
        ("queued", 10_000),
    ]
    assert db.sql("SELECT count(*) FROM outbox")[0][0] == 10_000


class RecordingDatabase(Database):
    """Keeps the place from which each execution of `unblock` examines dependents."""

    examined_after: list[int]

    async def execute(self, statement: Any, **parameters: Any) -> list[Any]:
        if statement is dependency_resolution.unblock():
            self.examined_after.append(parameters["after_id"])
        return await super().execute(statement, **parameters)


async def test_each_of_many_children_is_examined_once_for_one_parent(db: DatabaseHarness, database_url: str) -> None:
    (root,) = db.submit(new_task())
    with db.engine.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
        blocked = [(new_task(), DependencyState(Status.BLOCKED))] * 2_500
        ids = [row.id for row in connection.execute(*submit_planned(blocked))]
        connection.execute(*add_dependencies((child, root) for child in ids))
    db.run_to_end(root)
    engine = async_engine(database_url, name="test", pool_size=1, options=KEY_LOOKUP_OPTIONS)
    database = RecordingDatabase(engine)
    database.examined_after = []

    await DependencyResolver(database).step()

    assert database.examined_after == [0, 0, ids[999], ids[1_999]]
    assert db.sql("SELECT dependents_state FROM task WHERE id = :id", id=root) == [("resolved",)]
    await engine.dispose()


async def test_the_sweep_finds_a_stuck_blocked_task(db: DatabaseHarness, resolver: DependencyResolver) -> None:
    good, bad, open_ = db.submit(new_task(), new_task(), new_task())
    of_good, of_bad, waits = (
        db.submit_with_parents(good),
        db.submit_with_parents(good, bad),
        db.submit_with_parents(good, open_),
    )
    db.run_to_end(good)
    db.run_to_end(bad, FAILED)
    db.sql("UPDATE task SET dependents_state = 'resolved' WHERE id IN (:good, :bad)", good=good, bad=bad)
    assert not await resolve_all(resolver)

    assert len(db.run(dependency_resolution.requeue_stuck(), after_id=0, until_id=1000)) == 2

    await resolve_all(resolver)
    assert statuses(db, of_good, of_bad, waits) == ["queued", "cancelled", "blocked"]
    assert not db.run(dependency_resolution.requeue_stuck(), after_id=0, until_id=1000)
