"""Workers that shut down, and workers that are frozen."""

from __future__ import annotations

from faults.registry import fault
from faults.system.system import COORDINATORS, WORKERS, wait
from faults.trial import Trial
from harness.waiting import eventually

LEASE_S = 30
REFUSED_METRIC = "taskcore_results_refused_total"


@fault(
    "grace-period-exceeded",
    action="SIGTERM for a worker with tasks longer than its grace period (25 s)",
    criterion="the tasks return to the queue without a charge",
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
    trial.require(bool(returned), "no task was released")
    trial.drain()
    held = "SELECT count(*) FROM task WHERE id = ANY(%s) AND (failures > 0 OR worker_losses > 0 OR crashes > 0)"
    spent = trial.system.scalar(held, task_ids)
    trial.require(spent == 0, f"{spent} tasks were charged")
    trial.figures["released"] = len(returned)


@fault(
    "rolling-restart",
    action="SIGTERM for each worker and coordinator in turn",
    criterion="no task lost or charged, no request failed",
)
def rolling_restart(trial: Trial) -> None:
    with trial.under_load():
        for name in (*WORKERS, *COORDINATORS):
            code = trial.system.restarter[name].terminate()
            trial.require(code == 0, f"{name} ended with {code}")
            trial.system.wait_until_ready(name)
    trial.drain()
    spent = trial.system.scalar("SELECT count(*) FROM task WHERE worker_losses > 0 OR crashes > 0")
    trial.require(spent == 0, f"{spent} tasks were charged")
    failed = sum(1 for submission in trial.submissions if [one.outcome for one in submission.requests] != [201])
    trial.require(failed == 0, f"{failed} submissions failed")


@fault(
    "worker-frozen",
    action=f"SIGSTOP for all processes of a worker for {LEASE_S + 10} s, past its lease; then SIGCONT, executors first",
    criterion="the late result is rejected and counted; one final status",
)
def frozen(trial: Trial) -> None:
    """The frozen run and the new run of a task may overlap; results of the frozen run are rejected."""
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
        gate.touch()
        wait(LEASE_S + 10)
        system.wait_for(held)
        ends = _ends(trial, held)
        for process in processes[1:]:
            process.resume()
        wait(2)  # its supervisor, once resumed, kills executors that outlived the lease
        processes[0].resume()
        eventually(
            lambda: system.metric(name, REFUSED_METRIC) > 0 or trial.config.is_smoke,
            30,
            description="the rejections being counted",
        )
        trial.figures["late results rejected"] = system.metric(name, REFUSED_METRIC)
    trial.require(bool(held), f"{name} held nothing")
    trial.require(_ends(trial, held) == ends, "a late result changed a task")


def _ends(trial: Trial, task_ids: list[int]) -> list[object]:
    rows = trial.system.sql("SELECT id, status, attempt, result FROM task WHERE id = ANY(%s) ORDER BY id", task_ids)
    return [tuple(row.values()) for row in rows]
