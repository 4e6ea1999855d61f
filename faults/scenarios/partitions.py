"""Network partitions between one worker and a healthy server."""

from __future__ import annotations

import time
from collections.abc import Callable

from faults.network.proxy import Proxy
from faults.observers.journal import Run
from faults.registry import fault
from faults.scenarios.handoffs import require_each_ran_once
from faults.system.system import wait
from faults.trial import Trial

LEASE_S = 30.0
OUTAGE_S = 45
CUT_WORKER = "worker-1"
CRITERION = "it stops its tasks before its lease ends; no other worker runs them before that"


@fault(
    "postgres-packets-dropped",
    action=f"a worker cut from PostgreSQL for {OUTAGE_S} s by a proxy that drops packets, with long tasks running",
    criterion=CRITERION,
    proxied=(CUT_WORKER,),
)
def cut_silently(trial: Trial) -> None:
    _cut_from_postgres(trial, Proxy.blackhole)


@fault(
    "postgres-connections-reset",
    action=f"a worker cut from PostgreSQL for {OUTAGE_S} s by a proxy that resets connections, with long tasks running",
    criterion=CRITERION,
    proxied=(CUT_WORKER,),
)
def cut_by_reset(trial: Trial) -> None:
    _cut_from_postgres(trial, Proxy.reset)


@fault(
    "rabbitmq-packets-dropped",
    action="a worker cut from RabbitMQ for 60 s by a proxy that drops packets, with long tasks running",
    criterion="no task runs twice",
    proxied=(CUT_WORKER,),
)
def cut_from_rabbitmq(trial: Trial) -> None:
    gate = trial.gate("cut")
    trial.system.submit_many(16, "work", {"gate": str(gate)})
    proxy = trial.proxies[CUT_WORKER].rabbitmq
    with trial.under_load(recovers_within_s=30):
        proxy.blackhole()
        wait(trial.config.pick(60, 5))
        proxy.heal()
        gate.touch()
    require_each_ran_once(trial)


def _cut_from_postgres(trial: Trial, cut: Callable[[Proxy], None]) -> None:
    """The journal shows until when the long tasks ran: `seen_at`."""
    gate = trial.gate("cut")
    task_ids = trial.system.submit_many(24, "work", {"gate": str(gate)})
    trial.system.wait_for(task_ids, "running")
    cut_off = trial.system.sql("SELECT id FROM task WHERE worker_id = %s", trial.system.worker_id(CUT_WORKER))
    held = {row["id"] for row in cut_off} & set(task_ids)
    trial.require(bool(held), f"{CUT_WORKER} held nothing")
    proxy = trial.proxies[CUT_WORKER].postgres
    with trial.under_load(recovers_within_s=30, completed=0.9):
        cut_at = time.monotonic()
        cut(proxy)
        wait(OUTAGE_S)
        proxy.heal()
        gate.touch()
    _judge(trial, held, cut_at)


def _judge(trial: Trial, held: set[int], cut_at: float) -> None:
    trial.drain()
    runs = trial.system.journal.runs()
    first = [_at_cut(runs[task_id], cut_at) for task_id in held]
    trial.at_most("its work stopped after s", max(run.seen_at for run in first) - cut_at, LEASE_S)
    again = [run.began_at for task_id in held for run in runs[task_id] if run.began_at > cut_at]
    if again:
        trial.figures["ran elsewhere after s"] = round(min(again) - cut_at, 1)
        gaps = [later.began_at - run.seen_at for run in first for later in runs[run.task_id] if later.began_at > cut_at]
        trial.require(min(gaps) > 0, f"a task ran elsewhere {-min(gaps):.1f} s before it stopped here")


def _at_cut(runs: list[Run], cut_at: float) -> Run:
    """Return the run in progress when the connection was cut."""
    return [run for run in runs if run.began_at <= cut_at][-1]
