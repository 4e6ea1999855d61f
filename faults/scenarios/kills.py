"""Kills of workers and of their processes while tasks sleep, compute, or run isolated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from faults.observers.journal import Run
from faults.registry import fault
from faults.system.system import WORKERS, wait
from faults.trial import Trial, percentile
from harness.waiting import eventually

RESTART_LIMIT_S = 3.0
CLEANUP_LIMIT_S = 2.0
CRITERION = "its tasks run elsewhere within 3 s (p95 of 30 kills); no process of its group is left after 2 s"
#: Long tasks for each kill: type, mode, count. They end when their gate opens.
LONG_TASKS = (("work", "sleep", 6), ("work", "compute", 1), ("work_isolated", "sleep", 3))


@dataclass(slots=True)
class Kill:
    """One kill. `held`: the long tasks that ran in the killed processes."""

    at: float
    held: set[int]
    orphans: list[str] = field(default_factory=list)


@fault("supervisor-killed", action="kill -9 of a worker's supervisor, 30 times", criterion=CRITERION, is_smoke=True)
def kill_supervisor(trial: Trial) -> None:
    _kill_often(trial, lambda name: psutil.Process(trial.system.restarter[name].pid))


@fault("executor-killed", action="kill -9 of one executor of a worker, 30 times", criterion=CRITERION, is_smoke=True)
def kill_executor(trial: Trial) -> None:
    _kill_often(trial, lambda name: max(trial.system.executors(name), key=lambda one: len(_long_in(trial, _tree(one)))))
    # A task that ran alone in a killed process is charged one crash: an out-of-memory kill looks the same.
    trial.figures["charged a crash"] = trial.system.scalar("SELECT count(*) FROM task WHERE crashes > 0")
    looped = trial.system.scalar("SELECT count(*) FROM task WHERE reason = 'crash_loop'")
    trial.require(looped == 0, f"{looped} tasks ended as crash_loop")


@fault(
    "worker-killed-repeatedly",
    action="a worker killed every 10 s, 12 times, with tasks of 5 s among the load",
    criterion="all tasks succeed; none ends as crash_loop",
)
def killed_often(trial: Trial) -> None:
    with trial.under_load(rate=trial.config.rate / 2):
        for number in range(trial.config.pick(12, 1)):
            trial.system.submit_many(10, "work", {"seconds": 5})
            name = WORKERS[number % len(WORKERS)]
            next_at = time.monotonic() + trial.config.pick(10, 3)
            trial.system.wait_until_ready(name).kill_session()
            wait(max(0.0, next_at - time.monotonic()))
    trial.drain()
    failed = trial.system.sql("SELECT reason, count(*) FROM task WHERE status = 'failed' GROUP BY 1")
    trial.require(not failed, f"tasks ended as failed: {failed}")


def _kill_often(trial: Trial, chosen: Callable[[str], psutil.Process]) -> None:
    kills: list[Kill] = []
    with trial.under_load():
        for number in range(trial.config.pick(30, 1)):
            name = WORKERS[number % len(WORKERS)]
            kills.append(_kill(trial, name, chosen, str(number)))
    trial.drain()
    runs = trial.system.journal.runs()
    again = [_restarted_after_s(runs, kill) for kill in kills if kill.held]
    trial.require(len(again) == len(kills), f"{len(kills) - len(again)} kills hit no long task")
    trial.at_most("restart p95 s", percentile(again, 0.95), RESTART_LIMIT_S)
    trial.figures["restart p50 s"] = round(percentile(again, 0.5), 3)
    left = [orphan for kill in kills for orphan in kill.orphans]
    trial.at_most("processes left 2 s later", len(left), 0)
    trial.figures.update({"such as": left[0]} if left else {})


def _kill(trial: Trial, name: str, chosen: Callable[[str], psutil.Process], number: str) -> Kill:
    """Kill the chosen process. Return when its tasks run elsewhere and the worker is complete again."""
    system, gate = trial.system, trial.gate(number)
    system.warm_up_workers(in_processes=not trial.config.is_smoke)
    tasks = [(type_, {"how": how, "gate": str(gate)}, count) for type_, how, count in LONG_TASKS]
    task_ids = [one for type_, parameters, count in tasks for one in system.submit_many(count, type_, parameters)]
    system.wait_for(task_ids, "running")
    wait(0.5)  # until all of them are in the journal
    process = chosen(name)
    tree = _tree(process)
    kill = Kill(time.monotonic(), _long_in(trial, tree) & set(task_ids))
    process.kill()
    wait(CLEANUP_LIMIT_S)
    kill.orphans = [_description(one) for one in tree if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    runs_again = "SELECT count(*) FROM task WHERE id = ANY(%s) AND attempt >= 2 AND status = 'running'"
    eventually(
        lambda: system.scalar(runs_again, list(kill.held)) == len(kill.held), 60, description="the tasks running again"
    )
    gate.touch()
    return kill


def _description(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return f"{process.status()}: {' '.join(process.cmdline())[:80]}"
    return "already gone"


def _tree(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _long_in(trial: Trial, processes: Iterable[psutil.Process]) -> set[int]:
    """Return the tasks that run in `processes`, according to the journal."""
    runs = trial.system.journal.runs_in(process.pid for process in processes)
    return {run.task_id for run in runs if not run.has_ended}


def _restarted_after_s(runs: Mapping[int, Sequence[Run]], kill: Kill) -> float:
    """Return the time from the kill until all tasks that it hit run again."""
    return max(min(run.began_at for run in runs[task_id] if run.began_at > kill.at) for task_id in kill.held) - kill.at
