"""The control listener against a real database."""

from __future__ import annotations

import threading

from harness.waiting import eventually
from taskcore.db.workers import leases
from taskcore.leasing.control_listener import ControlListener
from tests.taskcore.db.db_harness import DatabaseHarness


def without_lock(db: DatabaseHarness) -> list[int]:
    return [row.id for row in db.run(leases.workers_without_lock())]


def test_a_listening_worker_holds_its_lock_and_takes_another_after_a_lost_connection(
    db: DatabaseHarness, database_url: str
) -> None:
    worker = db.register_worker()
    listener = ControlListener(database_url, worker, on_wake=lambda: None)
    db.sql("UPDATE worker SET lock_id = 1000000")
    eventually(lambda: without_lock(db) == [worker])

    listener.start()

    eventually(lambda: listener.is_connected)
    assert without_lock(db) == []
    db.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%listening'")
    eventually(lambda: db.sql("SELECT lock_id FROM worker")[0].lock_id > 1)
    eventually(lambda: without_lock(db) == [])
    listener.stop()


def test_an_unexpected_error_does_not_end_the_listener(db: DatabaseHarness, database_url: str) -> None:
    errors = [RuntimeError("can't start new thread")]
    woken = threading.Event()

    def wake() -> None:
        if errors:
            raise errors.pop()
        woken.set()

    listener = ControlListener(database_url, db.register_worker(), on_wake=wake)
    listener.start()

    assert woken.wait(60)
    assert listener.is_connected
    listener.stop()
