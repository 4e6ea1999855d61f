"""The lease manager against a real database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from harness.waiting import eventually
from taskcore.leasing.executor_exits import ExecutorExit, ExitKind
from taskcore.leasing.lease_manager import LeaseManager
from taskcore.leasing.lost_claims import ProcessReport
from taskcore.plugins import build_plugins
from taskcore.settings import Settings, WorkerSettings
from taskworker.types.noop import Noop
from tests.taskcore.db.db_harness import DatabaseHarness, new_task

StartManager = Callable[[list[ProcessReport]], LeaseManager]


@pytest.fixture
def start(db: DatabaseHarness) -> Iterator[StartManager]:
    started: list[LeaseManager] = []

    def make(reports: list[ProcessReport]) -> LeaseManager:
        settings = Settings(worker=WorkerSettings(heartbeat_s=0.1))
        manager = LeaseManager(settings, db.engine, build_plugins([Noop]), lambda: reports, slots=8)
        manager.start()
        started.append(manager)
        eventually(lambda: manager.worker_id is not None)
        return manager

    yield make
    for manager in started:
        manager.deregister(10)


def running(db: DatabaseHarness, manager: LeaseManager, *, incarnation: int = 1) -> int:
    (task_id,) = db.submit(new_task())
    db.claim([task_id], worker=manager.worker_id or 0, incarnation=incarnation)
    return task_id


def test_a_lost_claim_goes_back_to_its_queue_and_costs_nothing(db: DatabaseHarness, start: StartManager) -> None:
    reports: list[ProcessReport] = []
    manager = start(reports)
    lost, held = running(db, manager), running(db, manager)

    reports.append(ProcessReport(1, time.monotonic() + 1_000, frozenset({(held, 1)})))

    eventually(lambda: db.status(lost) == "queued")
    assert db.status(held) == "running"
    (counts,) = db.sql("SELECT failures, crashes, worker_losses FROM task WHERE id = :id", id=lost)
    assert tuple(counts) == (0, 0, 0)


def test_an_attempt_that_only_the_process_holds_is_to_be_dropped(db: DatabaseHarness, start: StartManager) -> None:
    reports = [ProcessReport(1, time.monotonic() + 1_000, frozenset({(999, 1)}))]
    manager = start(reports)

    eventually(lambda: manager.directives.get().drop == [(1, (999, 1))])


def test_directives_name_the_attempts_to_cancel_and_to_pause(db: DatabaseHarness, start: StartManager) -> None:
    manager = start([])
    cancelled, paused = running(db, manager), running(db, manager)

    db.sql("UPDATE task SET status = 'cancelling' WHERE id = :id", id=cancelled)
    db.sql("UPDATE task SET pause_requested = true WHERE id = :id", id=paused)

    eventually(lambda: [one.lease.task_id for one in manager.directives.get().cancel] == [cancelled])
    eventually(lambda: [one.lease.task_id for one in manager.directives.get().pause] == [paused])


def test_attempts_of_a_dead_process_are_settled(db: DatabaseHarness, start: StartManager) -> None:
    manager = start([])
    dead, alive = running(db, manager, incarnation=1), running(db, manager, incarnation=2)

    manager.record_exit(manager.worker_id or 0, ExecutorExit(1, ExitKind.CRASHED, -9, frozenset({(dead, 1)})))

    eventually(lambda: db.status(dead) == "queued")
    assert db.sql("SELECT crashes FROM task WHERE id = :id", id=dead)[0].crashes == 1
    assert db.status(alive) == "running"


def test_a_worker_that_was_declared_dead_registers_again(db: DatabaseHarness, start: StartManager) -> None:
    manager = start([])
    first = manager.worker_id

    db.sql("DELETE FROM worker")

    eventually(lambda: manager.worker_id not in (None, first))
