"""Workers are asked to stop, and workers stand still."""

from __future__ import annotations

from faults.registry import fault
from faults.system.system import COORDINATORS, WORKERS, wait
from faults.trial import Trial
from harness.waiting import eventually

LEASE_S = 30
REFUSED_METRIC = "taskcore_results_refused_total"


@fault(
    "grace-period-exceeded",
    action="SIGTERM for a worker with tasks longer than its grace (25 s)",
    criterion="back in the queue, nothing spent",
)
def beyond_grace(trial: Trial) -> None:
    gate = trial.gate("grace")
    task_ids = trial.system.submit_many(16, "work", {"gate": str(gate)})
    trial.system.wait_for(task_ids, "running")
    stopped_id = trial.system.worker_id(WORKERS[0])
    with trial.under_load():
        code = trial.system.restarter[WORKERS[0]].terminate()
        returned = trial.system.sql(
            "SELECT task_id FROM task_attempt WHERE worker_id = %s AND outcome = 'released'", stopped_id
        )
        gate.touch()
    trial.require(code == 0, f"the worker ended with {code}")
    trial.require(bool(returned), "nothing was given back")
    trial.drain()
    held = "SELECT count(*) FROM task WHERE id = ANY(%s) AND (failures > 0 OR worker_losses > 0 OR crashes > 0)"
    spent = trial.system.scalar(held, task_ids)
    trial.require(spent == 0, f"{spent} tasks lost something")
    trial.figures["given back"] = len(returned)


@fault(
    "rolling-restart",
    action="SIGTERM for each worker and coordinator in turn",
    criterion="nothing lost, no request failed, nothing spent",
)
def rolling_restart(trial: Trial) -> None:
    with trial.under_load():
        for name in (*WORKERS, *COORDINATORS):
            code = trial.system.restarter[name].terminate()
            trial.require(code == 0, f"{name} ended with {code}")
            trial.system.wait_until_ready(name)
    trial.drain()
    spent = trial.system.scalar("SELECT count(*) FROM task WHERE worker_losses > 0 OR crashes > 0")
    trial.require(spent == 0, f"{spent} tasks lost something")
    failed = sum(1 for offer in trial.submissions if [one.outcome for one in offer.requests] != [201])
    trial.require(failed == 0, f"{failed} submits failed")


@fault(
    "worker-frozen",
    action=f"SIGSTOP for a whole worker for {LEASE_S + 10} s, beyond its lease; then SIGCONT, its executors first",
    criterion="the late result is refused and counted; one terminal status",
)
def frozen(trial: Trial) -> None:
    """What was frozen and what ran elsewhere meanwhile overlap, by nature: the first of them has no say any more."""
    trial.may_overlap = True
    system, name, gate = trial.system, WORKERS[0], trial.gate("frozen")
    task_ids = system.submit_many(24, "work", {"gate": str(gate)})
    system.wait_for(task_ids, "running")
    held = [row["id"] for row in system.sql("SELECT id FROM task WHERE worker_id = %s", system.worker_id(name))]
    held = [task_id for task_id in held if task_id in task_ids]
    with trial.under_load(recovers_within_s=30, completed=0.9):
        service = system.restarter[name]
        processes = system.processes(name)
        service.freeze()
        for process in processes[1:]:  # those in groups of their own, too
            process.suspend()
        gate.touch()
        wait(LEASE_S + 10)
        system.wait_for(held)
        ends = _ends(trial, held)
        for process in processes[1:]:
            process.resume()
        wait(2)  # its supervisor, once awake, kills at once what has outlived the lease
        processes[0].resume()
        eventually(
            lambda: system.metric(name, REFUSED_METRIC) > 0 or trial.config.is_smoke,
            30,
            description="the refusals' count",
        )
        trial.figures["late results refused"] = system.metric(name, REFUSED_METRIC)
    trial.require(bool(held), f"{name} held nothing")
    trial.require(_ends(trial, held) == ends, "a late result changed a task")


def _ends(trial: Trial, task_ids: list[int]) -> list[object]:
    rows = trial.system.sql("SELECT id, status, attempt, result FROM task WHERE id = ANY(%s) ORDER BY id", task_ids)
    return [tuple(row.values()) for row in rows]
