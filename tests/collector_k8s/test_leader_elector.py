"""One of several copies holds the lease, and its successor gets a higher epoch."""

from __future__ import annotations

import threading
from typing import Any

from sqlalchemy import Engine, text

from collector_k8s.health import CollectorStatus
from collector_k8s.leader_elector import LeaderElector
from collector_k8s.lease import Lease
from harness.waiting import eventually
from taskcore.db.engine import sync_engine


def elector(engine: Engine, holder: str, ttl_s: float = 60) -> LeaderElector:
    return LeaderElector(engine, "k8s:here", holder, CollectorStatus("here", stale_after_s=1), ttl_s=ttl_s)


def acquired(elector: LeaderElector) -> Lease:
    lease = elector.acquire(threading.Event())
    assert lease is not None
    return lease


def test_one_of_several_copies_becomes_the_leader(engine: Engine) -> None:
    stop, refused = threading.Event(), threading.Semaphore(0)
    leases: list[Lease | None] = []

    def acquire(name: str) -> None:
        status = CollectorStatus("here", stale_after_s=1)
        lease = LeaderElector(engine, "k8s:here", name, status, on_heartbeat=refused.release, ttl_s=60).acquire(stop)
        leases.append(lease)

    threads = [threading.Thread(target=acquire, args=(f"copy {number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        assert refused.acquire(timeout=30)
    stop.set()
    for thread in threads:
        thread.join()

    assert [lease for lease in leases if lease is not None] == [Lease("k8s:here", 1)]


def test_a_released_lease_can_be_acquired_at_once(engine: Engine) -> None:
    first = elector(engine, "first")
    lease = acquired(first)

    first.release(lease)

    assert acquired(elector(engine, "second")) == Lease("k8s:here", 2)
    first.release(lease)  # has no effect on the lease of the second
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT holder, expires_at > now() FROM collector_lease")).all()
    assert [tuple(row) for row in rows] == [("second", True)]


def test_a_leader_that_does_not_renew_learns_that_the_lease_is_lost(engine: Engine) -> None:
    first = elector(engine, "first", ttl_s=0.01)
    lease = acquired(first)
    stopped = threading.Event()

    assert acquired(elector(engine, "second")).epoch == 2

    first.renew_until_lost(lease, stopped)
    assert stopped.is_set()


def test_a_renewed_lease_does_not_expire(engine: Engine) -> None:
    renewed, stopped = threading.Event(), threading.Event()
    first = LeaderElector(
        engine, "k8s:here", "first", CollectorStatus("here", stale_after_s=1), on_heartbeat=renewed.set, ttl_s=5
    )
    lease = acquired(first)
    before = expiry(engine)
    thread = threading.Thread(target=first.renew_until_lost, args=(lease, stopped))
    thread.start()

    assert renewed.wait(30)

    assert expiry(engine) > before
    assert not stopped.is_set()
    stopped.set()
    thread.join()


def expiry(engine: Engine) -> Any:
    with engine.connect() as connection:
        return connection.execute(text("SELECT expires_at FROM collector_lease")).scalar_one()


def test_an_open_transaction_of_the_leader_blocks_the_next_one(engine: Engine) -> None:
    lease = acquired(elector(engine, "first", ttl_s=0.01))
    successor: list[Lease] = []
    with engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
        connection.execute(text("SELECT FROM collector_lease WHERE epoch = :mine FOR SHARE"), {"mine": lease.epoch})
        thread = threading.Thread(target=lambda: successor.append(acquired(elector(engine, "second"))))
        thread.start()
        eventually(lambda: waits_for_a_lock(engine))
        assert not successor

    thread.join()
    assert successor


def waits_for_a_lock(engine: Engine) -> bool:
    with engine.connect() as connection:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return bool(connection.execute(text(waiting)).scalar_one())


def test_an_unavailable_database_is_waited_for() -> None:
    status = CollectorStatus("here", stale_after_s=1)
    engine = sync_engine("postgresql://nobody@127.0.0.1:1/none", name="tests", pool_size=1)
    stop = threading.Event()
    thread = threading.Thread(target=LeaderElector(engine, "k8s:here", "first", status).acquire, args=(stop,))

    thread.start()

    eventually(lambda: not status.has_database)
    stop.set()
    thread.join()
    assert not status.is_ready()
