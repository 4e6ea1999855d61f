"""What the supervisor does with its executors, its lease and the directives of the database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from taskcore.db.workers.leases import HeldAttempt
from taskcore.domain.states import Status
from taskcore.domain.tasks import Lease
from taskcore.leasing.executor_exits import ExitKind
from taskcore.leasing.lease_manager import SOFT_FENCE_SHARE, Directives
from taskcore.leasing.liveness import LivenessSignals
from taskcore.leasing.lost_claims import ProcessReport
from taskcore.plugins.interrupts import InterruptCause
from taskcore.settings import Settings, WorkerSettings
from taskworker.supervisor.executor_pool import ExecutorPool
from taskworker.supervisor.kill_plan import STARTUP_TIMEOUT_S
from taskworker.supervisor.protocol import (
    Command,
    ConsumeQueues,
    Interrupt,
    RequestPause,
    SetFence,
    SetLogLevel,
    Stop,
)
from taskworker.supervisor.supervisor import HARD_FENCE_SHARE, RESPAWN_DELAY_S, Supervisor
from tests.taskworker.supervisor.fakes import FakeLease, FakeProcess, FakeProcesses, FakeSignal, claimed

TOLERANCE_S = 5.0


class Harness:
    """A supervisor of two executors over fakes, with a clock that the test sets."""

    def __init__(self) -> None:
        settings = Settings(worker=WorkerSettings(processes=2, threads=2, grace_s=5))
        self.lease = FakeLease()
        self.processes = FakeProcesses()
        self.signal = FakeSignal()
        self.now = time.monotonic()
        self.executors = ExecutorPool(settings, self.processes.start)
        self.supervisor = Supervisor(
            settings,
            self.lease,
            self.executors,
            LivenessSignals(lambda worker_id, wake: [self.signal], lambda: None, TOLERANCE_S, clock=lambda: self.now),
            clock=lambda: self.now,
        )

    def start(self) -> tuple[FakeProcess, FakeProcess]:
        """Tick until both executors run, and take their first commands."""
        self.supervisor.tick()
        first, second = self.processes.started
        self.commands()
        return first, second

    def commands(self) -> list[list[Command]]:
        return [process.commands() for process in self.processes.started]

    def direct(self, **fields: Any) -> None:
        empty: dict[str, Any] = {"cancel": [], "pause": [], "drop": [], "queues": [], "overrides": {}}
        self.lease.directives.put(Directives(**{"worker_id": 1, **empty, **fields}))

    def exit_kinds(self) -> list[ExitKind]:
        return [exit_.kind for _, exit_ in self.lease.exits]


@pytest.fixture
def harness() -> Iterator[Harness]:
    harness = Harness()
    yield harness
    harness.processes.close()


def held(task_id: int, executor: int) -> HeldAttempt:
    return HeldAttempt(Lease(task_id, 1, uuid4()), "noop", Status.RUNNING, executor)


def test_executors_start_once_the_worker_is_registered(harness: Harness) -> None:
    harness.lease.worker_id = None
    harness.supervisor.tick()
    assert harness.processes.started == []

    harness.lease.worker_id = 7
    harness.supervisor.tick()

    assert [process.worker_id for process in harness.processes.started] == [7, 7]
    assert harness.commands() == [[ConsumeQueues(())]] * 2


def test_an_executor_that_starts_slowly_gets_more_time_after_it_was_killed(harness: Harness) -> None:
    """A machine that is short of CPU would otherwise never finish a start."""
    harness.start()
    for handle in harness.executors:
        handle.silence.elapsed_s = STARTUP_TIMEOUT_S + 1
    harness.supervisor.tick()
    harness.supervisor.tick()
    harness.now += RESPAWN_DELAY_S
    harness.supervisor.tick()

    assert harness.exit_kinds() == [ExitKind.UNRESPONSIVE, ExitKind.UNRESPONSIVE]
    assert [handle.state().startup_timeout_s for handle in harness.executors] == [2 * STARTUP_TIMEOUT_S] * 2


def test_worker_is_ready_when_an_executor_has_reported(harness: Harness) -> None:
    first, _ = harness.start()
    assert not harness.supervisor.is_ready

    first.pipe.send(ProcessReport(1, harness.now))
    harness.supervisor.tick()

    assert harness.supervisor.is_ready
    harness.lease.has_heartbeats = False
    assert not harness.supervisor.is_ready


def test_directives_reach_the_executor_that_holds_the_attempt(harness: Harness) -> None:
    harness.start()

    harness.direct(cancel=[held(3, 1)], pause=[held(4, 2)], drop=[(2, (5, 1))])
    harness.supervisor.tick()

    first, second = harness.commands()
    assert first == [Interrupt((3, 1), InterruptCause.CANCEL)]
    assert second == [RequestPause((4, 1)), Interrupt((5, 1), InterruptCause.FENCE)]


def test_directives_for_the_worker_that_this_was_are_ignored(harness: Harness) -> None:
    harness.start()

    harness.direct(worker_id=0, cancel=[held(3, 1)])
    harness.supervisor.tick()

    assert harness.commands() == [[], []]


def test_new_queues_and_settings_reach_all_executors_once(harness: Harness) -> None:
    harness.start()

    for _ in range(2):
        harness.direct(queues=["a", "b"], overrides={"log.level": "debug"})
    harness.supervisor.tick()

    assert harness.commands() == [[SetLogLevel("debug"), ConsumeQueues(("a", "b"))]] * 2


def test_dead_executor_is_reported_and_replaced_after_a_delay(harness: Harness) -> None:
    first, _ = harness.start()
    first.attempts.place(claimed(9), None, own_process=False)

    first.exit(-11)
    harness.supervisor.tick()

    ((worker_id, exit_),) = harness.lease.exits
    assert (worker_id, exit_.incarnation, exit_.kind, exit_.exit_code) == (1, 1, ExitKind.CRASHED, -11)
    assert exit_.running == {(9, 1)}
    assert len(harness.processes.started) == 2
    harness.now += RESPAWN_DELAY_S
    harness.supervisor.tick()
    assert [process.incarnation for process in harness.processes.started] == [1, 2, 3]


def test_no_executor_starts_while_the_lease_is_expiring(harness: Harness) -> None:
    harness.start()[0].exit(1)
    harness.supervisor.tick()

    harness.lease.share_left = SOFT_FENCE_SHARE
    harness.now += RESPAWN_DELAY_S
    harness.supervisor.tick()

    assert len(harness.processes.started) == 2


def test_expiring_lease_fences_the_executors_and_a_renewed_one_unfences_them(harness: Harness) -> None:
    harness.start()

    harness.lease.share_left = SOFT_FENCE_SHARE
    harness.supervisor.tick()
    harness.supervisor.tick()
    harness.lease.share_left = 1.0
    harness.supervisor.tick()

    assert harness.commands() == [[SetFence(True), SetFence(False)]] * 2
    assert (harness.lease.losses, harness.exit_kinds()) == (1, [])


def test_at_the_hard_fence_only_idle_executors_survive(harness: Harness) -> None:
    first, second = harness.start()
    first.pipe.send(ProcessReport(1, time.monotonic()))
    second.pipe.send(ProcessReport(2, time.monotonic(), frozenset({(9, 1)}), running=1))
    harness.supervisor.tick()

    harness.lease.share_left = HARD_FENCE_SHARE
    harness.supervisor.tick()

    assert (first.is_alive(), second.is_alive()) == (True, False)
    assert harness.exit_kinds() == [ExitKind.FENCED]


def test_worker_that_nobody_can_see_kills_what_runs(harness: Harness) -> None:
    harness.start()

    harness.signal.is_connected = False
    harness.supervisor.tick()
    assert harness.exit_kinds() == []
    harness.now += TOLERANCE_S + 1
    harness.supervisor.tick()

    assert harness.exit_kinds() == [ExitKind.FENCED] * 2


def test_new_lease_kills_the_executors_of_the_old_one(harness: Harness) -> None:
    harness.start()

    harness.lease.worker_id = 2
    harness.supervisor.tick()

    assert [worker_id for worker_id, _ in harness.lease.exits] == [1, 1]
    assert harness.exit_kinds() == [ExitKind.FENCED] * 2


def test_executor_with_an_attempt_past_its_deadline_is_killed_as_stuck(harness: Harness) -> None:
    first, second = harness.start()
    first.attempts.place(claimed(9), deadline=1.0, own_process=False)

    harness.supervisor.tick()
    harness.supervisor.tick()

    ((_, exit_),) = harness.lease.exits
    assert (exit_.kind, exit_.timed_out) == (ExitKind.STUCK, frozenset({(9, 1)}))
    assert second.is_alive()


def test_drain_stops_the_executors_and_deregisters_the_worker(harness: Harness) -> None:
    first, second = harness.start()

    first.exit(0)
    second.exit(0)
    harness.supervisor.drain()

    assert [process.commands() for process in (first, second)] == [[Stop(5)], [Stop(5)]]
    assert harness.exit_kinds() == [ExitKind.DRAINED] * 2
    assert harness.lease.is_deregistered


def test_forced_stop_kills_executors_that_are_still_draining(harness: Harness) -> None:
    first, _ = harness.start()
    first.attempts.place(claimed(9), None, own_process=False)

    harness.supervisor.force_stop.set()
    harness.supervisor.drain()

    assert harness.exit_kinds() == [ExitKind.DRAINED] * 2
    assert harness.lease.is_deregistered
