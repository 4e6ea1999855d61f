"""One of several copies is at work, and the next one follows it with a higher epoch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime

import pytest
from sqlalchemy import Engine, text

from collector_k8s.health import CollectorStatus
from collector_k8s.leader_elector import LeaderElector
from collector_k8s.store.event_store import Lease
from harness.waiting import eventually
from taskcore.db.engine import sync_engine


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = sync_engine(database_url, name="tests", pool_size=6)
    yield engine
    engine.dispose()


def copy(engine: Engine, holder: str, ttl_s: float = 60) -> LeaderElector:
    return LeaderElector(engine, "k8s:here", holder, CollectorStatus("here", stale_after_s=1), ttl_s=ttl_s)


def taken(leadership: LeaderElector) -> Lease:
    lease = leadership.acquire(threading.Event())
    assert lease is not None
    return lease


def test_of_copies_that_start_at_once_one_is_at_work(engine: Engine) -> None:
    stop, looked, leases = threading.Event(), threading.Semaphore(0), []

    def take(name: str) -> None:
        status = CollectorStatus("here", stale_after_s=1)
        lease = LeaderElector(engine, "k8s:here", name, status, on_heartbeat=looked.release, ttl_s=60).acquire(stop)
        leases.append(lease)

    threads = [threading.Thread(target=take, args=(f"copy {number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        assert looked.acquire(timeout=30)  # and has not got it
    stop.set()
    for thread in threads:
        thread.join()

    assert [lease for lease in leases if lease is not None] == [Lease("k8s:here", 1)]


def test_who_gives_the_lease_back_is_followed_at_once(engine: Engine) -> None:
    first = copy(engine, "first")
    lease = taken(first)

    first.release(lease)

    assert taken(copy(engine, "second")) == Lease("k8s:here", 2)
    first.release(lease)  # it is another's now
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT holder, expires_at > now() FROM collector_lease")).all()
    assert [tuple(row) for row in rows] == [("second", True)]


def test_who_does_not_renew_is_followed_and_hears_of_it(engine: Engine) -> None:
    first = copy(engine, "first", ttl_s=0.01)
    lease = taken(first)
    over = threading.Event()

    assert taken(copy(engine, "second")).epoch == 2

    first.renew_until_lost(lease, over)
    assert over.is_set()


def test_a_lease_that_is_renewed_stays(engine: Engine) -> None:
    renewed, over = threading.Event(), threading.Event()
    first = LeaderElector(
        engine, "k8s:here", "first", CollectorStatus("here", stale_after_s=1), on_heartbeat=renewed.set, ttl_s=5
    )
    lease = taken(first)
    before = expiry(engine)
    keeping = threading.Thread(target=first.renew_until_lost, args=(lease, over))
    keeping.start()

    assert renewed.wait(30)

    assert expiry(engine) > before
    assert not over.is_set()
    over.set()
    keeping.join()


def expiry(engine: Engine) -> datetime:
    with engine.connect() as connection:
        expires_at: datetime = connection.execute(text("SELECT expires_at FROM collector_lease")).scalar_one()
        return expires_at


def test_nobody_follows_while_a_transaction_of_the_holder_is_under_way(engine: Engine) -> None:
    lease = taken(copy(engine, "first", ttl_s=0.01))
    followed = threading.Event()
    with engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
        connection.execute(text("SELECT FROM collector_lease WHERE epoch = :mine FOR SHARE"), {"mine": lease.epoch})

        def follow() -> None:
            taken(copy(engine, "second"))
            followed.set()

        following = threading.Thread(target=follow)
        following.start()
        eventually(lambda: waits_for_a_lock(engine))
        assert not followed.is_set()

    following.join()
    assert followed.is_set()


def waits_for_a_lock(engine: Engine) -> bool:
    with engine.connect() as connection:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return bool(connection.execute(text(waiting)).scalar_one())


def test_a_database_that_is_away_is_waited_for() -> None:
    status = CollectorStatus("here", stale_after_s=1)
    engine = sync_engine("postgresql://nobody@127.0.0.1:1/none", name="tests", pool_size=1)
    stop = threading.Event()
    looking = threading.Thread(target=LeaderElector(engine, "k8s:here", "first", status).acquire, args=(stop,))

    looking.start()

    eventually(lambda: not status.has_database)
    stop.set()
    looking.join()
    assert not status.is_ready()
