"""No task is lost when workers, executors or coordinators crash, and graceful stops charge nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.processes import Service
from harness.waiting import eventually
from tests.system.conftest import MakeSystem
from tests.system.system import System

SHORT_LEASE: dict[str, Any] = {"heartbeat_s": 0.5, "lease_s": 3, "processes": 1}


@pytest.fixture(scope="module")
def system(make_system: MakeSystem) -> System:
    system = make_system({"TASKCORE_COORDINATOR__RESEND_AFTER_S": "3"})
    system.start(coordinators=2)
    system.register_types()
    return system


def executors(worker: Service) -> list[psutil.Process]:
    return [child for child in psutil.Process(worker.pid).children() if "spawn_main" in " ".join(child.cmdline())]


def outcomes(system: System, task_id: int) -> list[str]:
    return [attempt["outcome"] for attempt in system.attempts(task_id)]


def lost_messages(system: System) -> int:
    return sum(coordinator.log.count("messages.lost") for coordinator in system.coordinators)


def test_tasks_of_a_killed_worker_run_elsewhere(system: System, gate: Path) -> None:
    killed = system.start_worker(threads=2, **SHORT_LEASE)
    task_ids = system.submit_many(2, "gated", {"gate": str(gate)})
    system.wait_for(task_ids, "running")

    killed.kill_session()
    with system.worker(threads=2, **SHORT_LEASE):
        gate.touch()
        system.wait_for(task_ids)

    for task_id in task_ids:
        assert outcomes(system, task_id) == ["lost", "succeeded"]
        assert system.history(task_id) == ["queued", "running", "queued", "running", "succeeded"]
        task = system.task(task_id)
        assert (task["failures"], task["result"]) == (0, 2)


def test_tasks_of_a_killed_executor_run_again_under_the_same_supervisor(system: System, gate: Path) -> None:
    with system.worker(threads=2, heartbeat_s=0.5, processes=1) as worker:
        worker_id = system.scalar("SELECT max(id) FROM worker")
        task_ids = system.submit_many(2, "gated", {"gate": str(gate)})
        system.wait_for(task_ids, "running")
        (executor,) = executors(worker)

        executor.kill()
        gate.touch()
        system.wait_for(task_ids)

        for task_id in task_ids:
            assert outcomes(system, task_id) == [
                "released",
                "succeeded",
            ]  # either may be the culprit, so none is charged
            assert {attempt["worker_id"] for attempt in system.attempts(task_id)} == {worker_id}


def test_crash_is_charged_to_a_task_that_ran_alone(system: System, gate: Path) -> None:
    with system.worker(threads=2, heartbeat_s=0.5, processes=1) as worker:
        task_id = system.submit("gated", {"gate": str(gate)})
        system.wait_for(task_id, "running")
        (executor,) = executors(worker)

        executor.kill()
        gate.touch()
        system.wait_for(task_id)

    assert outcomes(system, task_id) == ["crashed", "succeeded"]
    assert "signal 9 (SIGKILL)" in system.attempts(task_id)[0]["error"]
    assert system.scalar("SELECT crashes FROM task WHERE id = %s", task_id) == 1


def test_worker_is_declared_dead_at_once_when_both_liveness_signals_are_lost(system: System, gate: Path) -> None:
    an_hour: dict[str, Any] = {"heartbeat_s": 0.5, "lease_s": 3_600, "processes": 1}
    killed = system.start_worker(threads=2, **an_hour)
    task_ids = system.submit_many(2, "gated", {"gate": str(gate)})
    system.wait_for(task_ids, "running")

    killed.kill()
    gate.touch()
    with system.worker(threads=2, **an_hour):
        system.wait_for(task_ids)

    for task_id in task_ids:
        assert outcomes(system, task_id) == ["lost", "succeeded"]


def test_executors_die_with_their_supervisor(system: System, gate: Path) -> None:
    killed = system.start_worker(threads=2, heartbeat_s=0.5, lease_s=3, processes=2)
    task_ids = system.submit_many(4, "gated", {"gate": str(gate)})
    system.wait_for(task_ids, "running")
    children = psutil.Process(killed.pid).children()

    killed.kill()
    psutil.wait_procs(children, timeout=60)
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]

    gate.touch()
    with system.worker(threads=4, **SHORT_LEASE):
        system.wait_for(task_ids)
    for task_id in task_ids:
        assert outcomes(system, task_id) == ["lost", "succeeded"]


def test_worker_declared_dead_changes_nothing_and_continues_as_a_new_one(system: System, gate: Path) -> None:
    with system.worker(threads=1, **SHORT_LEASE) as frozen:
        old_id = system.scalar("SELECT max(id) FROM worker")
        task_id = system.submit("gated", {"gate": str(gate)})
        system.wait_for(task_id, "running")
        frozen.freeze()
        gate.touch()
        with system.worker(threads=1, **SHORT_LEASE):
            system.wait_for(task_id)
        before = system.task(task_id)

        frozen.thaw()
        eventually(lambda: "worker.declared_dead" in frozen.log)
        another = system.submit("noop")
        system.wait_for(another)

        assert system.task(task_id) == before
        assert outcomes(system, task_id) == ["lost", "succeeded"]
        assert system.task(another)["worker_id"] > old_id


def test_stopping_worker_finishes_running_tasks_within_the_grace_period(system: System, gate: Path) -> None:
    worker = system.start_worker(threads=1, processes=1, grace_s=60)
    running = system.submit("gated", {"gate": str(gate)})
    system.wait_for(running, "running")
    waiting = system.submit("noop")

    psutil.Process(worker.pid).terminate()
    eventually(lambda: "worker.draining" in worker.log)
    gate.touch()
    code = worker.wait()

    assert code == 0
    system.assert_each_ran_once([running])
    assert system.task(waiting)["status"] == "queued"
    assert system.scalar("SELECT count(*) FROM worker") == 0
    with system.worker(processes=1):
        system.wait_for(waiting)
    system.assert_each_ran_once([waiting])


def test_task_longer_than_the_grace_period_is_released_without_a_charge(system: System, gate: Path) -> None:
    worker = system.start_worker(threads=1, processes=1, grace_s=1)
    task_id = system.submit("gated", {"gate": str(gate)})
    system.wait_for(task_id, "running")

    code = worker.terminate()

    assert code == 0
    counts = "SELECT status, attempt, failures, worker_losses FROM task WHERE id = %s"
    assert system.sql(counts, task_id) == [{"status": "queued", "attempt": 1, "failures": 0, "worker_losses": 0}]
    gate.touch()
    with system.worker(processes=1):
        system.wait_for(task_id)
    assert outcomes(system, task_id) == ["released", "succeeded"]


def test_messages_do_not_wait_for_a_stopping_worker(system: System, gate: Path) -> None:
    stopping = system.start_worker(threads=2, processes=1, grace_s=600)
    held = system.submit_many(2, "gated", {"gate": str(gate)})
    system.wait_for(held, "running")
    task_ids = system.submit_many(4, "noop")
    eventually(lambda: system.scalar("SELECT count(*) FROM outbox WHERE dispatched_at IS NOT NULL") == 4)

    lost_before = lost_messages(system)
    psutil.Process(stopping.pid).terminate()
    eventually(lambda: "worker.draining" in stopping.log)
    with system.worker(processes=1):
        system.wait_for(task_ids)

    assert lost_messages(system) == lost_before
    gate.touch()
    assert stopping.wait() == 0
    system.assert_each_ran_once([*held, *task_ids])


def test_restart_in_the_middle_of_many_tasks_charges_none(system: System) -> None:
    task_ids = system.submit_many(1_500, "sleep", {"seconds": 0.02})
    finished = "SELECT count(*) FROM task_attempt WHERE task_id = ANY(%s) AND outcome = 'succeeded'"
    with system.worker(processes=1):
        eventually(lambda: system.scalar(finished, task_ids) > 200)
    stopped_at = system.scalar(finished, task_ids)

    with system.worker(processes=1):
        system.wait_for(task_ids)

    assert 200 < stopped_at < 1_500
    totals = (
        "SELECT status, sum(failures)::int AS failures, sum(worker_losses)::int AS worker_losses"
        " FROM task WHERE id = ANY(%s)"
    )
    assert system.sql(totals + " GROUP BY 1", task_ids) == [{"status": "succeeded", "failures": 0, "worker_losses": 0}]
    assert system.scalar(finished, task_ids) == 1_500


def test_other_coordinator_takes_over_from_a_killed_one(system: System) -> None:
    killed = system.start_coordinator()
    with system.worker(processes=1):
        task_ids = system.submit_many(5_000, "noop")
        finished = "SELECT count(*) FROM task_attempt WHERE task_id = ANY(%s)"
        eventually(lambda: system.scalar(finished, task_ids) > 200)

        killed.kill_session()
        system.wait_for(task_ids)

    system.assert_each_ran_once(task_ids)
