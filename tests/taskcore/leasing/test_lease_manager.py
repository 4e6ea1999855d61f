"""The lease keeper against a real database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from harness.waiting import eventually
from taskcore.db.workers import leases
from taskcore.leasing.control_listener import ControlListener
from taskcore.leasing.executor_exits import ExecutorExit, ExitKind
from taskcore.leasing.lease_manager import LeaseManager
from taskcore.leasing.lost_claims import ProcessReport
from taskcore.plugins import build_plugins
from taskcore.settings import Settings, WorkerSettings
from taskworker.types.noop import Noop
from tests.taskcore.db.db_harness import DatabaseHarness, new_task

Keep = Callable[[list[ProcessReport]], LeaseManager]


@pytest.fixture
def keep(stage: DatabaseHarness) -> Iterator[Keep]:
    kept: list[LeaseManager] = []

    def make(reports: list[ProcessReport]) -> LeaseManager:
        settings = Settings(worker=WorkerSettings(heartbeat_s=0.1))
        keeper = LeaseManager(settings, stage.engine, build_plugins([Noop]), lambda: reports, slots=8)
        keeper.start()
        kept.append(keeper)
        eventually(lambda: keeper.worker_id is not None)
        return keeper

    yield make
    for keeper in kept:
        keeper.deregister(10)


def running(stage: DatabaseHarness, keeper: LeaseManager, *, incarnation: int = 1) -> int:
    (task_id,) = stage.submit(new_task())
    stage.claim([task_id], worker=keeper.worker_id or 0, incarnation=incarnation)
    return task_id


def test_a_claim_that_never_arrived_goes_back_and_costs_nothing(stage: DatabaseHarness, keep: Keep) -> None:
    reports: list[ProcessReport] = []
    keeper = keep(reports)
    astray, held = running(stage, keeper), running(stage, keeper)

    reports.append(ProcessReport(1, time.monotonic() + 1_000, frozenset({(held, 1)})))

    eventually(lambda: stage.status(astray) == "queued")
    assert stage.status(held) == "running"
    assert tuple(stage.sql("SELECT failures, crashes, worker_losses FROM task WHERE id = :id", id=astray)[0]) == (
        0,
        0,
        0,
    )


def test_what_only_the_process_holds_is_to_be_dropped(stage: DatabaseHarness, keep: Keep) -> None:
    reports = [ProcessReport(1, time.monotonic() + 1_000, frozenset({(999, 1)}))]
    keeper = keep(reports)

    eventually(lambda: keeper.directives.get().drop == [(1, (999, 1))])


def test_who_is_to_stop_and_who_is_to_pause_is_told(stage: DatabaseHarness, keep: Keep) -> None:
    keeper = keep([])
    cancelled, paused = running(stage, keeper), running(stage, keeper)

    stage.sql("UPDATE task SET status = 'cancelling' WHERE id = :id", id=cancelled)
    stage.sql("UPDATE task SET pause_requested = true WHERE id = :id", id=paused)

    eventually(lambda: [row.id for row in keeper.directives.get().cancel] == [cancelled])
    eventually(lambda: [row.id for row in keeper.directives.get().pause] == [paused])


def test_what_a_dead_process_held_is_settled(stage: DatabaseHarness, keep: Keep) -> None:
    keeper = keep([])
    mine, others = running(stage, keeper, incarnation=1), running(stage, keeper, incarnation=2)

    keeper.record_exit(keeper.worker_id or 0, ExecutorExit(1, ExitKind.CRASHED, -9, frozenset({(mine, 1)})))

    eventually(lambda: stage.status(mine) == "queued")
    assert stage.sql("SELECT crashes FROM task WHERE id = :id", id=mine)[0].crashes == 1
    assert stage.status(others) == "running"


def test_a_worker_that_was_declared_dead_registers_anew(stage: DatabaseHarness, keep: Keep) -> None:
    keeper = keep([])
    first = keeper.worker_id

    stage.sql("DELETE FROM worker")

    eventually(lambda: keeper.worker_id not in (None, first))


def test_the_lock_of_a_listening_worker_keeps_it_from_suspicion(stage: DatabaseHarness, database_url: str) -> None:
    worker = stage.register_worker()
    ears = ControlListener(database_url, worker, on_wake=lambda: None)
    stage.sql("UPDATE worker SET lock_id = 1000000")
    eventually(lambda: [row.id for row in stage.run(leases.workers_without_lock())] == [worker])

    ears.start()

    eventually(lambda: ears.is_connected)
    assert stage.run(leases.workers_without_lock()) == []
    stage.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%listening'")
    eventually(lambda: stage.sql("SELECT lock_id FROM worker")[0].lock_id > 1)
    eventually(lambda: stage.run(leases.workers_without_lock()) == [])
    ears.stop()


def test_an_error_that_nobody_foresaw_made_the_ears_deaf_for_good(stage: DatabaseHarness, database_url: str) -> None:
    errors = [RuntimeError("can't start new thread")]
    heard = threading.Event()

    def wake() -> None:
        if errors:
            raise errors.pop()
        heard.set()

    ears = ControlListener(database_url, stage.register_worker(), on_wake=wake)
    ears.start()

    assert heard.wait(60)
    assert ears.is_connected
    ears.stop()
