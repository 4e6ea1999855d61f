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
    action="PostgreSQL's clock set an hour ahead, as by NTP or a failover to a host that is ahead",
    criterion="no lease lost, nothing runs twice",
    own_database=adjustable_clock,
)
def clock_set(trial: Trial) -> None:
    database = _database(trial)
    with trial.under_load():
        database.set_ahead(HOUR_S)
        wait(trial.config.pick(40, 5))  # longer than a lease
    require_no_process_died(trial)
    require_each_ran_once(trial)


def _database(trial: Trial) -> OwnDatabase:
    database = trial.system.sandbox.own_database
    assert database is not None
    return database
