"""PostgreSQL restarts, crashes, terminates backends, is read-only, or is out of connections."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from typing import Any, Literal, LiteralString

import psycopg

from faults.registry import fault
from faults.system.system import WORKERS, wait
from faults.trial import Trial
from harness.postgres import as_role
from taskstandalone.postgres.cluster import SUPERUSER

APPLICATION_NAME = "faults"
TERMINATE_ONE = f"""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND datname = current_database() AND application_name <> '{APPLICATION_NAME}'
    ORDER BY random() LIMIT 1
"""
CRITERION = "workers survive and report what they finished; the API returns 503, not 500, and does not hang"


@fault("postgres-restarted", action="PostgreSQL restarted gracefully", criterion=CRITERION)
def fast(trial: Trial) -> None:
    _restart(trial, "fast")


@fault("postgres-crashed", action="PostgreSQL crashed and restarted", criterion=CRITERION, is_smoke=True)
def immediate(trial: Trial) -> None:
    _restart(trial, "immediate")


@fault("postgres-backends-terminated", action="5 backends per second terminated for 30 s", criterion=CRITERION)
def terminates(trial: Trial) -> None:
    with trial.under_load(), _superuser(trial) as connection:
        for _ in range(trial.config.pick(150, 20)):
            connection.execute(TERMINATE_ONE)
            wait(0.2)
    require_no_process_died(trial)


@fault("postgres-read-only", action="PostgreSQL read-only for 20 s", criterion=CRITERION, is_smoke=True)
def read_only(trial: Trial) -> None:
    with trial.under_load(), _superuser(trial) as connection:
        _set_read_only(connection, "on")
        wait(trial.config.pick(20, 3))
        _set_read_only(connection, "off")
    require_no_process_died(trial)


@fault(
    "postgres-connections-exhausted",
    action="all connections of PostgreSQL taken for 10 s, and clients disconnected",
    criterion=CRITERION,
)
def connections(trial: Trial) -> None:
    with trial.under_load(), ExitStack() as taken, _superuser(trial) as connection:
        until = time.monotonic() + trial.config.pick(10, 3)
        while time.monotonic() < until:
            connection.execute(TERMINATE_ONE)
            _take_all(taken, trial.system.database_url)
        taken.close()
    require_no_process_died(trial)


def _take_all(taken: ExitStack, database_url: str) -> None:
    with suppress(psycopg.OperationalError):
        while True:
            taken.enter_context(psycopg.connect(database_url, application_name=APPLICATION_NAME))


def _superuser(trial: Trial) -> psycopg.Connection[Any]:
    return psycopg.connect(
        as_role(SUPERUSER, trial.system.database_url), autocommit=True, application_name=APPLICATION_NAME
    )


def _set_read_only(connection: psycopg.Connection[Any], value: LiteralString) -> None:
    connection.execute("SET default_transaction_read_only = off")
    connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
    connection.execute("SELECT pg_reload_conf()")


def _restart(trial: Trial, mode: Literal["fast", "immediate"]) -> None:
    with trial.under_load():
        trial.system.sandbox.servers.postgres.restart(mode)
    require_no_process_died(trial)


def require_no_process_died(trial: Trial) -> None:
    """Require that no worker and no API process restarted, and that running tasks did not run again."""
    restarter = trial.system.restarter
    for name in (*WORKERS, "api"):
        trial.require(not restarter.exit_codes(name), f"{name} ended with {restarter.exit_codes(name)}")
    lost = trial.system.scalar("SELECT count(*) FROM task_attempt WHERE outcome IN ('lost', 'crashed')")
    trial.require(lost == 0, f"{lost} runs were not reported")
