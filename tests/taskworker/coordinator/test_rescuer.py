"""When the rescuer believes that a worker is dead, what it does with its tasks, and what it sweeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.engine import async_engine
from taskcore.db.queues import outbox
from taskcore.db.tasks import dependency_resolution, queries, settlements
from taskcore.db.workers import leases
from taskcore.domain.states import CLAIMABLE, Status
from taskcore.live_settings import CurrentSettings
from taskcore.settings import Settings
from taskworker.coordinator.database import Database
from taskworker.coordinator.rescuer import SLICE_SIZE, Rescuer
from tests.taskcore.db.db_harness import DatabaseHarness, new_task
from tests.taskworker.coordinator.fake_database import FakeDatabase, row

LONG_S = 3_600.0


class Cluster:
    """A rescuer with a fake database, and a broker that knows which workers are gone."""

    def __init__(self) -> None:
        self.database = FakeDatabase()
        self.database.on(leases.read_clock(), lambda: [row(now=datetime.now(UTC), longest_lease_s=30.0)])
        self.database.on(leases.delete_if_dead(), lambda worker, lock: [row(id=worker)])
        for statuses in (CLAIMABLE, frozenset({Status.BLOCKED})):
            self.database.on(queries.id_range(statuses), lambda: [(None, None)])
        self.gone: set[int] = set()
        self.rescued = 0

    def rescuer(self, reconnect_grace_s: float = 0.0, silence_s: float = LONG_S) -> Rescuer:
        return Rescuer(
            self.database,
            CurrentSettings(Settings()),
            self._is_worker_gone,
            self._on_rescued,
            silence_s=silence_s,
            reconnect_grace_s=reconnect_grace_s,
        )

    async def _is_worker_gone(self, worker_id: int) -> bool:
        return worker_id in self.gone

    def _on_rescued(self) -> None:
        self.rescued += 1

    def set_without_lock(self, *replies: list[tuple[int, int]]) -> None:
        """Set the pairs of worker and lock that nobody holds, one list for each query; the last one is repeated."""
        remaining = list(replies)

        def reply() -> list[Any]:
            pairs = remaining.pop(0) if len(remaining) > 1 else remaining[0]
            return [row(id=worker, lock_id=lock) for worker, lock in pairs]

        self.database.on(leases.workers_without_lock(), reply)

    @property
    def deleted(self) -> list[int]:
        return [call["worker"] for call in self.database.calls(leases.delete_if_dead())]


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def test_worker_without_lock_and_queue_is_dead(cluster: Cluster) -> None:
    cluster.set_without_lock([(1, 10), (2, 20)])
    cluster.gone = {2}

    await cluster.rescuer().step()

    assert cluster.deleted == [2]


async def test_worker_that_has_taken_another_lock_meanwhile_lives(cluster: Cluster) -> None:
    cluster.set_without_lock([(2, 20)], [])
    cluster.gone = {2}

    await cluster.rescuer().step()

    assert cluster.deleted == []


def orphans(count: int) -> list[Any]:
    counters = {"failures": 0, "crashes": 0, "worker_losses": 0, "max_attempts": 4}
    lease = {"attempt": 1, "lease_token": uuid4(), "executor": 1, "pause_requested": False}
    return [row(id=n, type="noop", status="running", **lease, **counters) for n in range(1, count + 1)]


async def test_attempts_of_dead_workers_are_settled_in_batches(cluster: Cluster) -> None:
    batches: Iterator[list[Any]] = iter([orphans(leases.ORPHANS_LIMIT), orphans(1)])
    cluster.database.on(leases.orphaned_attempts(), lambda: next(batches))

    await cluster.rescuer().step()

    assert [call["by"] for call in cluster.database.calls(settlements.settle())] == ["coordinator"] * 2
    assert cluster.rescued == 2


@pytest.mark.parametrize(("reconnect_grace_s", "expires"), [(0.0, True), (LONG_S, False)])
async def test_no_lease_expires_right_after_the_database_was_silent(
    cluster: Cluster, reconnect_grace_s: float, expires: bool
) -> None:
    await cluster.rescuer(reconnect_grace_s).step()  # before its first reply the database counts as silent

    assert bool(cluster.database.calls(leases.delete_expired_workers())) is expires


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)])
async def test_no_lease_expires_after_the_clock_of_the_database_jumped(cluster: Cluster, jump: timedelta) -> None:
    times = iter([datetime.now(UTC), datetime.now(UTC) + jump, datetime.now(UTC) + jump])
    cluster.database.on(leases.read_clock(), lambda: [row(now=next(times), longest_lease_s=30.0)])
    cluster.set_without_lock([(1, 10)])
    cluster.gone = {1}  # each step looks for expired leases, because a worker is dead
    rescuer = cluster.rescuer(silence_s=5.0)

    await rescuer.step()
    assert len(cluster.database.calls(leases.delete_expired_workers())) == 1
    await rescuer.step()
    await rescuer.step()

    assert len(cluster.database.calls(leases.delete_expired_workers())) == 1


async def test_sweep_covers_all_ids_in_slices(cluster: Cluster) -> None:
    cluster.database.on(queries.id_range(CLAIMABLE), lambda: [(5, 5 + SLICE_SIZE)])
    cluster.database.on(queries.id_range(frozenset({Status.BLOCKED})), lambda: [(7, 7)])

    await cluster.rescuer().step()

    assert cluster.database.calls(outbox.restore_missing_rows()) == [
        {"after_id": 4, "until_id": 4 + SLICE_SIZE},
        {"after_id": 4 + SLICE_SIZE, "until_id": 4 + 2 * SLICE_SIZE},
    ]
    assert cluster.database.calls(dependency_resolution.requeue_stuck()) == [
        {"after_id": 6, "until_id": 6 + SLICE_SIZE}
    ]


async def test_sweep_keeps_its_interval(cluster: Cluster) -> None:
    rescuer = cluster.rescuer()

    await rescuer.step()
    await rescuer.step()

    assert len(cluster.database.calls(outbox.delete_stale_rows())) == 1


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = async_engine(database_url, name="rescuer", pool_size=2)
    yield engine
    await engine.dispose()


async def test_slow_broker_does_not_keep_leases_from_expiring(db: DatabaseHarness, engine: AsyncEngine) -> None:
    async def is_worker_gone(worker_id: int) -> bool:
        await asyncio.sleep(0.3)  # longer than `silence_s`
        return False

    dead = db.register_worker()
    db.run(leases.set_liveness_lock(), worker=dead, lock=77)
    (task_id,) = db.submit(new_task())
    db.claim([task_id], worker=dead)
    db.sql("UPDATE worker SET seen_at = now() - interval '1 minute'")
    rescuer = Rescuer(
        Database(engine),
        CurrentSettings(Settings()),
        is_worker_gone,
        lambda: None,
        silence_s=0.2,
        reconnect_grace_s=0.1,
    )

    async with asyncio.timeout(60):
        while db.status(task_id) != "queued":
            await rescuer.step()
