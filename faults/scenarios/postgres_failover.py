"""Another PostgreSQL takes over, or its clock is set."""

from __future__ import annotations

from faults.registry import fault
from faults.scenarios.handoffs import require_each_ran_once
from faults.scenarios.postgres import require_no_process_died
from faults.system.databases import OwnDatabase, adjustable_clock, synchronous_pair
from faults.system.system import wait
from faults.trial import Trial

HOUR_S = 3_600
PROMOTE_AFTER_S = 2.0
#: Longer than it takes until each worker has sent a heartbeat, and each coordinator has looked for expired leases.
HEARTBEATS_S = 12.0


@fault(
    "postgres-failover",
    action="the primary killed, its synchronous standby promoted after 2 s; both hosts are in the URL",
    criterion="nothing lost; workers survive and report what they finished; the API returns 503, not 500",
    own_database=synchronous_pair,
)
def failover(trial: Trial) -> None:
    database = _database(trial)
    with trial.under_load():
        database.primary.kill()
        wait(PROMOTE_AFTER_S)
        database.standby.promote()
    require_no_process_died(trial)


@fault(
    "postgres-clock-set",
    action="PostgreSQL's clock set an hour ahead four times, as by NTP or a failover to a host that is ahead",
    criterion="no lease lost, nothing runs twice",
    own_database=adjustable_clock,
)
def clock_set(trial: Trial) -> None:
    database, workers = _database(trial), _workers(trial)
    with trial.under_load():
        for hours in range(1, trial.config.pick(5, 2)):
            database.set_ahead(hours * HOUR_S)
            wait(HEARTBEATS_S)
    trial.require(_workers(trial) == workers, f"leases of {workers} were lost, the workers are {_workers(trial)}")
    require_no_process_died(trial)
    require_each_ran_once(trial)


def _workers(trial: Trial) -> set[int]:
    return {row["id"] for row in trial.system.sql("SELECT id FROM worker")}


def _database(trial: Trial) -> OwnDatabase:
    database = trial.system.sandbox.own_database
    assert database is not None
    return database
